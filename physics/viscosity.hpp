/// Laplacian diffusion of velocity and height with a constant coefficient: the viscous shallow-water equations of
/// Galewsky, Scott and Polvani 2004, Tellus A 56, section 2.
#pragma once

#include <mpi.h>

#include <memory>
#include <vector>

#include "physics/ghost_cells.hpp"
#include "physics/grid.hpp"
#include "physics/panel_edges.hpp"
#include "physics/region.hpp"

namespace tramontane {

/// Adds to the momentum equation nu (grad(divergence) + k x grad(vorticity)), the spherical Laplacian of a velocity as
/// spectral models apply it to vorticity and divergence, and to the height equation nu Laplacian(h + h_s). Over level
/// ground that is nu Laplacian(h); the surface instead of the depth keeps a fluid at rest at rest over
/// orography. In the variables of the state (see ShallowWater):
///   dE/dt   += nu d_i(sqrt_g G^ij d_j eta) / a^2
///   dM^i/dt += nu sqrt_g phi (G^ij d_j delta / a + (k x grad zeta)^i) + u^i dE/dt of the line above
/// The height term is a flux form with one flux per face, so mass is conserved to round-off. Every piece is of fourth
/// order inside a panel; the cells that touch a panel edge take two derivatives of fifth-order ghost values, which
/// leaves a truncation error of third order in those rows (docs/design/viscosity.md).
class Viscosity {
 public:
  /// @param nu coefficient, m2 s-1
  /// @param ghosted_bottom see ShallowWater::ghosted_bottom
  Viscosity(std::shared_ptr<const Grid> grid, MPI_Comm comm, int levels, double nu, const View<Real***>& ghosted_bottom,
            double deadline_seconds);

  double nu() const { return nu_; }

  /// Computes the viscous tendency of a state whose ghost cells are filled, plus `forcing` unless that is empty.
  /// Collective over the solver's ranks: exchanges panel-edge fluxes and ghost cells of vorticity and divergence.
  void compute(const View<Real*****>& state, const View<Real*****>& forcing);

  /// (tile, level, variable, j, i), interior cells, units of the state per second. Valid after compute().
  const View<Real*****>& tendency() const { return tendency_; }

  /// What a face's Gauss points need beside Grid's tables. The shapes of the first three are those of FaceMetric.
  struct FaceTable {
    View<Real***> inverse_mean, normal, tangential;  ///< mean sqrt_g through the reconstruction: one over its value,
                                                     ///< its slopes per cell width across and along the face
    View<Real****>
        bottom;  ///< ghosted_bottom through the reconstruction: (tile, Gauss point, row, face) or (.., face, i)
  };

 public:  // kernels: extended lambdas may not live in private members
  void state_lines(const Region& region, const View<Real*****>& state);
  void alpha_faces(const Region& region);
  void beta_faces(const Region& region);
  void scalars(const Region& region);
  void edge_fluxes();
  void scalar_lines(const Region& region);
  void momentum(const Region& region, const View<Real*****>& state, const View<Real*****>& forcing);

 private:
  void tabulate_faces();
  void tabulate_bottom();

  std::shared_ptr<const Grid> grid_;
  int levels_;
  double nu_;
  View<Real***> ghosted_bottom_;
  PanelEdges edges_;
  GhostCells ghosts_;
  std::vector<Region> regions_;
  FaceTable alpha_table_, beta_table_;
  View<int**> segment_of_;  ///< (tile, side): number of the edge segment, -1 inside a panel

  // Work space of one region, indices relative to it.
  View<Real*****> beta_lines_, alpha_lines_;  ///< see viscosity_faces.cpp
  View<Real*****> alpha_faces_, beta_faces_;  ///< (circulation, outflow, surface flux): (tile, level, 3, j, face)
  View<Real*****> scalar_lines_;              ///< see viscosity_momentum.cpp

  View<Real*****> scalars_;  ///< (tile, level, ViscousScalar, ghosted j, ghosted i)
  View<Real*****> tendency_;
};

/// The largest eigenvalue of the flux-form Laplacian is at most kViscousEigenvalue nu (G^aa + G^bb) / spacing^2; nu in
/// m2 s-1, `spacing` = radius times angle of a cell in m. Two-cell waves along both directions have 6.04; ghost cells
/// and the mixed derivative at the cube's corners raise it to a measured 6.29 on any grid.
inline constexpr double kViscousEigenvalue = 6.35;

/// Cells of the reconstruction that gives slopes along a face. The flux through a panel edge is the mean of two
/// panels', whose errors in this slope have opposite signs, so it differs from the next face's by that error; the
/// difference of the two fluxes takes an order off: sixth order instead of fourth.
inline constexpr int kSlopeStencil = 7;

/// Scalars of the second exchange, as sqrt_g-weighted cell means: vorticity and divergence (s-1), and the tendency of
/// E.
enum ViscousScalar : int { kVorticity, kDivergence, kSurfaceTendency, kViscousScalars };

}  // namespace tramontane
