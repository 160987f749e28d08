/// Relative vorticity and divergence of a state as cell means, fourth order.
#pragma once

#include <memory>

#include "physics/grid.hpp"

namespace tramontane {

/// By the theorems of Stokes and Gauss over each cell: two Gauss points a face, velocity there from the solver's own
/// two-dimensional reconstruction, centred (sixth order across the face, fifth along it). Ghost values of fifth order
/// leave an error of fourth order in the cells along panel edges, as the Gauss points do everywhere.
class VorticityDivergence {
 public:
  VorticityDivergence(std::shared_ptr<const Grid> grid, int levels);

  /// @param state with its ghost cells filled, (tile, level, variable, j, i)
  /// @param ghosted_bottom see ShallowWater::ghosted_bottom
  void compute(const View<Real*****>& state, const View<Real***>& ghosted_bottom);

  /// sqrt_g-weighted cell means, s-1, shape (tile, level, j, i). Valid after compute().
  const View<Real****>& vorticity() const { return vorticity_; }
  const View<Real****>& divergence() const { return divergence_; }

 private:
  std::shared_ptr<const Grid> grid_;
  int levels_;
  View<Real*****> beta_lines_, alpha_lines_;  ///< (tile, level, 2 * field + line, j, ghosted i) and (.., ghosted j, i)
  View<Real*****> alpha_faces_, beta_faces_;  ///< (circulation, flux): (tile, level, 2, j, face) and (.., face, i)
  View<Real****> vorticity_, divergence_;
};

}  // namespace tramontane
