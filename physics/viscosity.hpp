/// Laplacian diffusion of velocity and height with a constant coefficient: the viscous shallow-water equations of
/// Galewsky, Scott and Polvani 2004, Tellus A 56, section 2.
#pragma once

#include <mpi.h>

#include <memory>

#include "physics/ghost_cells.hpp"
#include "physics/grid.hpp"
#include "physics/panel_edges.hpp"
#include "physics/vorticity.hpp"

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
  Viscosity(std::shared_ptr<const Grid> grid, MPI_Comm comm, int levels, double nu,
            const View<Real***>& ghosted_bottom, double deadline_seconds);

  double nu() const { return nu_; }

  /// Computes the viscous tendency of a state whose ghost cells are filled, plus `forcing` unless that is empty.
  /// Collective over the solver's ranks: exchanges panel-edge gradients and ghost cells of vorticity and divergence.
  void compute(const View<Real*****>& state, const View<Real*****>& forcing);

  /// (tile, level, variable, j, i), interior cells, units of the state per second. Valid after compute().
  const View<Real*****>& tendency() const { return tendency_; }

 private:
  /// Mean sqrt_g as a face's Gauss points see it through the reconstruction: value and slopes (per cell width) along
  /// the face's normal and along the face, in the shape of FaceMetric.
  struct FaceTable {
    View<Real***> value, normal, tangential;
  };
  void tabulate_faces();

  std::shared_ptr<const Grid> grid_;
  int levels_;
  double nu_;
  View<Real***> ghosted_bottom_;
  VorticityDivergence curl_;
  PanelEdges edges_;
  GhostCells ghosts_;
  FaceTable alpha_faces_, beta_faces_;
  View<Real*****> beta_lines_, alpha_lines_;  ///< E on Gauss lines, then its slope along the row: see viscosity.cpp
  View<Real****> alpha_flux_, beta_flux_;  ///< sqrt_g G^ij d_j eta: (tile, level, j, face) and (tile, level, face, i)
  View<Real*****> scalars_;                ///< (tile, 3 * level + scalar, 3, ghosted j, ghosted i): see viscosity.cpp
  View<Real*****> scalar_lines_;           ///< (tile, level, line, j, ghosted i)
  View<Real*****> tendency_;
};

/// The largest eigenvalue of the flux-form Laplacian is kViscousEigenvalue nu (G^aa + G^bb) / spacing^2, of two-cell
/// waves along both directions; nu in m2 s-1, `spacing` = radius times angle of a cell in m.
inline constexpr double kViscousEigenvalue = 6.04;

}  // namespace tramontane
