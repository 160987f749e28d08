/// Transport of tracers by the mass flux of the shallow-water core: conservative, consistent with continuity, with an
/// optional limiter that keeps bounds.
///
/// Prognostic, per cell, T = mean over the panel angles of sqrt_g phi q (m2 s-2 times the unit of q, the mixing ratio):
///   dT/dt + (1/a) d_i(sqrt_g phi u^i q) = 0
/// with the mass flux that the continuity equation took at the faces' Gauss points. On either side of a face q is the
/// fifth-order reconstruction of T over the same reconstruction of sqrt_g phi, upwinded by the sign of the mass flux: a
/// constant q stays constant to round-off, whatever the flow.
/// Limiter: Zhang and Shu 2010 (J. Comput. Phys. 229), 2011 (Proc. R. Soc. A 467), with the cell's own outflow as the
/// quadrature weights. Derivation and measurements: docs/design/tracers.md.
#pragma once

#include <vector>

#include "physics/tile_sides.hpp"
#include "physics/tracer_options.hpp"

namespace tramontane {

/// State of the tiles of one rank: (tile, level, variable, j, i) with kHalo ghost cells on every side.
using State = View<Real*****>;

/// Mass fluxes per panel angle through the Gauss points of faces, positive along the panel's axes: what the continuity
/// equation used, (1/2)(first + second) being the flux of E. On panel edges both panels hold the same bits up to sign.
struct MassFluxes {
  View<Real*****> alpha;  ///< (tile, level, Gauss point, j, face)
  View<Real*****> beta;   ///< (tile, level, Gauss point, face, i)
};

class TracerTransport {
 public:
  /// @param ghosted_bottom (tile, ghosted j, ghosted i): E - ghosted_bottom is sqrt_g phi, see ShallowWater
  /// @throws InputError when a tracer's bounds are not in order
  TracerTransport(std::shared_ptr<const Grid> grid, MPI_Comm comm, int levels, std::vector<TracerOptions> tracers,
                  const View<Real***>& ghosted_bottom, double deadline_seconds);

  int count() const { return static_cast<int>(tracers_.size()); }
  const std::vector<TracerOptions>& tracers() const { return tracers_; }
  const MassFluxes& mass_fluxes() const { return fluxes_; }

  /// First half of a stage: takes what it needs of `state`, whose ghost cells must be filled. Needs no fluxes.
  void reconstruct(const State& state);

  /// Second half, after mass_fluxes() was filled: out <- a * begin + b * state + c * tendency for the tracers'
  /// variables, on interior cells. `out` may be `state` or `begin`; variable 0 of `state` may have been overwritten
  /// since reconstruct(). Bounds hold where a >= 0, b > 0 and, in every cell, the outflow over c/b seconds stays below
  /// its content. With an `added_mass` (forcing of E, its variable 0) a cell gains mass at its own mixing ratio.
  void advance(const State& out, double a, const State& begin, double b, const State& state, double c,
               const View<Real*****>& added_mass);

  /// Largest share of a cell's content that leaves it per second, s-1, over this rank's cells, in the last stage:
  /// bounds need its product with the step to stay below one.
  double largest_outflow() const;

 private:
  std::shared_ptr<const Grid> grid_;
  int levels_;
  std::vector<TracerOptions> tracers_;
  TileSides sides_;
  MassFluxes fluxes_;
  View<Real***> bottom_;
  View<Real****> mass_;           ///< sqrt_g phi (tile, level, ghosted j, ghosted i)
  View<Real*****> mixing_ratio_;  ///< of the cell means (tile, level, tracer, ghosted j, ghosted i)
  View<Real*****> beta_lines_;    ///< as in ShallowWater, sqrt_g phi first, then the tracers; of some tiles at a time
  View<Real*****> alpha_lines_;
  View<Real*****>
      bounds_;  ///< least and largest value of the tracer at hand (tile, level, 2, j, i); empty if none has any
  View<Real*****> faces_;  ///< q at the cells' face points, seen from inside: see TileSides
};

}  // namespace tramontane
