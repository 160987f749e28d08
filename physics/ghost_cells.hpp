/// Fills the ghost cells of tiles: copies inside a panel, interpolation across panel edges and at cube corners.
#pragma once

#include <memory>

#include "physics/grid.hpp"
#include "physics/point_exchange.hpp"

namespace tramontane {

/// A ghost cell beyond a panel's edge lies, in the panel's extended angles, on the ground of another panel. Its average
/// is the Gauss quadrature over the ghost cell of the owner panel's polynomial: five by five cells of the owner's
/// interior, tensor product, momentum turned into the ghost's basis at each quadrature point. All of that is linear and
/// is tabulated once as weights; constants (of geopotential) are reproduced to round-off. The cells beyond a cube
/// corner lie on the ground of a panel too and take the same path. See docs/design/solver.md.
///
/// State layout: (tile, level, variable, j, i) with kHalo ghost cells on each side; variable 0 scalar, 1 and 2 the
/// contravariant components of a vector; all weighted by sqrt_g.
class GhostCells {
 public:
  GhostCells(std::shared_ptr<const Grid> grid, MPI_Comm comm, int levels, double deadline_seconds = 300.0);

  void start(const View<double*****>& state);
  /// With `scalar` or `vector` false the ghosts beyond panel edges of variable 0, or of 1 and 2, are left as they are.
  void finish(const View<double*****>& state, bool scalar = true, bool vector = true);

 private:
  std::shared_ptr<const Grid> grid_;
  std::unique_ptr<PointExchange> exchange_;
  View<int* [4]> copies_;                           ///< (ghost, {tile, j, i, pool position})
  View<int* [3]> ghosts_;                           ///< (ghost, {tile, j, i}) of the interpolated ghosts
  View<int * [kStencil * kStencil]> sources_;       ///< pool positions
  View<double* [5][kStencil * kStencil]> weights_;  ///< scalar, then vector aa, ab, ba, bb
};

}  // namespace tramontane
