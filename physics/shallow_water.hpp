/// The rotating shallow-water equations over orography on the equiangular cubed sphere: finite volumes, upwind
/// reconstruction of order 3, 5 or 7 (Grid::order), two Gauss points a face, LMARS fluxes; formally fourth order.
///
/// Prognostic, per cell, as means over the panel angles (unit sphere metric, sqrt_g):
///   E  = sqrt_g (phi + phi_s - reference)      phi = g h fluid geopotential, phi_s = g h_s orography, m2 s-2
///   Ma = sqrt_g phi u^alpha, Mb = sqrt_g phi u^beta   contravariant velocity on the unit sphere's basis, m s-1
/// so that E is constant zero for an ocean at rest at the reference level, whatever the orography.
///   dE/dt  + (1/a) d_i(sqrt_g phi u^i) = 0
///   dM^i/dt + (1/a) d_j(sqrt_g phi u^i u^j + sqrt_g G^ij p) = phi_s sqrt_g G^ij d_j(eta)/a - Gamma^i_jk M^j u^k / a
///                                                             - f sqrt_g phi (k x u)^i
/// with eta = phi + phi_s - reference and p = eta (eta + 2 reference)/2. Derivation: docs/design/solver.md.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/reconstruction.hpp"
#include "physics/ghost_cells.hpp"
#include "physics/grid.hpp"
#include "physics/region.hpp"
#include "physics/panel_edges.hpp"
#include "physics/tracer_transport.hpp"

namespace tramontane {

class Viscosity;

/// Number of prognostic variables of the flow; tracers follow them, see tracer_transport.hpp.
inline constexpr int kPrognostic = 3;

/// What fixes the equations beside the grid.
struct ShallowWaterOptions {
  int levels = 1;
  double reference = 0.0;  ///< reference geopotential, m2 s-2
  double gravity = kGravity;
  Vector3 rotation{0.0, 0.0, kEarthRotation};  ///< angular velocity of the sphere, s-1: f = 2 rotation . r
  double dissipation = 1.0;         ///< factor on the jumps in the Riemann solver; 1 is LMARS
  double deadline_seconds = 300.0;  ///< longest wait for another rank
  double viscosity = 0.0;           ///< m2 s-1, of velocity and height: see physics/viscosity.hpp
  std::vector<TracerOptions> tracers;  ///< variables kPrognostic and up of the state
};

class ShallowWater {
 public:
  /// @param orography mean height over the panel angles of sqrt_g-weighted cells on owned tiles (tile, j, i), m
  ShallowWater(std::shared_ptr<const Grid> grid, MPI_Comm comm, const std::vector<double>& orography,
               ShallowWaterOptions options);

  const Grid& grid() const { return *grid_; }
  const std::shared_ptr<const Grid>& shared_grid() const { return grid_; }
  MPI_Comm comm() const { return comm_; }
  int levels() const { return options_.levels; }
  double reference() const { return options_.reference; }
  double gravity() const { return options_.gravity; }
  /// Orography on owned tiles as handed in, m.
  const std::vector<double>& orography() const { return orography_; }
  /// sqrt_g-weighted mean of (phi_s - reference), (tile, j, i): subtract from E to get sqrt_g phi.
  const View<Real***>& bottom() const { return bottom_; }
  /// Angular velocity of the sphere, s-1; the Coriolis parameter at a point r of the unit sphere is 2 rotation . r.
  Vector3 rotation() const { return options_.rotation; }

  /// The same with ghost cells, (tile, ghosted j, ghosted i).
  const View<Real***>& ghosted_bottom() const { return ghosted_bottom_; }

  const std::vector<TracerOptions>& tracers() const { return options_.tracers; }
  /// Null without tracers.
  const TracerTransport* tracer_transport() const { return tracers_.get(); }

  State make_state(const std::string& name) const;

  /// The regions that a stage goes through, one after the other.
  const SweepRegions& regions() const { return regions_; }

  /// With `scalar` or `vector` false the ghost cells of E, or of M, are of no use afterwards.
  void fill_ghosts(const State& state, bool scalar = true, bool vector = true) {
    ghosts_.start(state);
    ghosts_.finish(state, scalar, vector);
  }

  /// One stage of a Runge-Kutta step, interior cells only:
  ///   out <- a * begin + b * state + c * tendency(state),
  /// a and b pure numbers, c in seconds. Fills the ghost cells of `state` first. `out` may be `state` or `begin`; with
  /// a = b = 0 and c = 1 it is the tendency itself.
  void stage(const State& out, double a, const State& begin, double b, const State& state, double c);

  /// Tendencies added at every stage until cleared: shape of the interior (tile, level, variable, j, i), units of the
  /// state per second. Pass an empty view to clear.
  void set_forcing(const View<Real*****>& forcing) { forcing_ = forcing; }

  /// Factor on the jumps in the Riemann solver, 1 (LMARS) until set: see riemann_lmars. Less than 1 only where something
  /// else damps gravity waves, as the semi-implicit integrator does.
  void set_dissipation(double factor) { options_.dissipation = factor; }
  double dissipation() const { return options_.dissipation; }

  /// Largest over this rank's cells of sum over directions of (|u^i| + c sqrt(G^ii)) / (a * spacing), s-1: the inverse
  /// of the advective time scale; where there is viscosity, plus its largest decay rate times `waves_to_decay`, the
  /// ratio of the integrator's limit for waves to that for decay (IntegratorTraits; by default ssprk3's). 1/this times
  /// the CFL number is the time step. NaN-safe: returns infinity then.
  double largest_rate(const State& state, double waves_to_decay = 0.64) const;

 public:  // kernels: extended lambdas may not live in private members
  template <int Order>
  void gauss_lines(const Region& region, const State& state);
  template <int Order>
  void edge_states(const Region& region);
  template <int Order>
  void alpha_fluxes(const Region& region);
  template <int Order>
  void beta_fluxes(const Region& region);
  template <int Order>
  void update(const Region& region, const State& out, double a, const State& begin, double b, const State& state,
              double c);
  void edge_fluxes();
  void edge_update(const State& out, double c);

 private:
  template <int Order>
  void interpolate_orography();
  void tabulate_edges();
  /// What a stage adds to the tendency of the inviscid equations: forcing and viscous terms; empty without either.
  const View<Real*****>& added_tendency() const;
  template <int Order>
  void sweep_order(const std::vector<Region>& regions, const State& out, double a, const State& begin, double b,
                   const State& state, double c);

  std::shared_ptr<const Grid> grid_;
  MPI_Comm comm_;
  ShallowWaterOptions options_;
  std::vector<double> orography_;
  GhostCells ghosts_;
  PanelEdges edges_;
  SweepRegions regions_;

  View<Real***> bottom_, ghosted_bottom_;
  View<Real****> alpha_bottom_, beta_bottom_, volume_bottom_;  ///< phi_s at face and volume Gauss points
  View<Real*> edge_secant_;  ///< sqrt(1 + tan^2) of the angles of cell edges
  View<Real**> edge_table_;                                    ///< (EdgeTable row, point)

  // Work space of one region, indices relative to it; H = (order + 1) / 2.
  View<Real*****> beta_lines_;   ///< means along alpha at beta Gauss points (tile, level, 2*variable+g, j, i + H)
  View<Real*****> slope_lines_;  ///< d/dbeta of E there, per cell width (tile, level, g, j, i + H)
  View<Real*****> alpha_lines_;  ///< means along beta at alpha Gauss points (tile, level, 2*variable+g, j + H, i)
  View<Real*****> alpha_flux_;   ///< (tile, level, variable, j, face)
  View<Real*****> beta_flux_;    ///< (tile, level, variable, face, i)
  View<Real*****> source_;       ///< momentum source of the south Gauss line, (tile, level, component, j, i)
  View<Real***> edge_flux_;      ///< (level * variable, segment, position), along the own axes' positive direction
  View<Real*****> forcing_;
  State next_;  ///< result of a stage that may not overwrite what its later regions still read
  std::shared_ptr<Viscosity> viscosity_;  ///< null without viscosity
  std::unique_ptr<TracerTransport> tracers_;  ///< null without tracers
  MassFluxes mass_fluxes_;                    ///< of the tracers; empty views without
};

}  // namespace tramontane
