/// Pieces of the two-dimensional reconstruction for terms that are centred: weights of the two Gauss lines of a cell
/// row, and sixth-order values and slopes at faces. Fields are sqrt_g-weighted cell means, as in the state.
#pragma once

#include "kernels/reconstruction.hpp"
#include "physics/grid.hpp"

namespace tramontane {

/// Cells to either side of a tile that a centred face value at the tile's rim reads.
inline constexpr int kCentredReach = 3;
static_assert(kHalo >= kCentredReach);

/// Weights of five cell means for the value and for the slope (per cell width) of the quartic at the Gauss points.
struct GaussLineWeights {
  double value[kGaussPoints][kStencil];
  double slope[kGaussPoints][kStencil];
};

inline GaussLineWeights gauss_line_weights() {
  GaussLineWeights w;
  for (int g = 0; g < kGaussPoints; ++g) {
    const auto value = average_weights(kStencilReach + 0.5 + kGaussNode[g]);
    const auto slope = average_weights(kStencilReach + 0.5 + kGaussNode[g], 1);
    for (int k = 0; k < kStencil; ++k) {
      w.value[g][k] = value[k];
      w.slope[g][k] = slope[k];
    }
  }
  return w;
}

/// Value at the face in the middle of six cells from their means: sixth order, the mean of the two fifth-order upwind
/// values.
template <class T>
KOKKOS_INLINE_FUNCTION double centred_face_value(const T* q) {
  return ((q[0] + q[5]) - 8.0 * (q[1] + q[4]) + 37.0 * (q[2] + q[3])) * (1.0 / 60.0);
}

/// Slope there, per cell width: sixth order.
template <class T>
KOKKOS_INLINE_FUNCTION double centred_face_slope(const T* q) {
  return (2.0 * (q[5] - q[0]) - 25.0 * (q[4] - q[1]) + 245.0 * (q[3] - q[2])) * (1.0 / 180.0);
}

/// Where a tile lies in the metric tables of its panel, for capture by kernels.
struct TilePosition {
  int first_tile, tiles_per_edge, size;

  explicit TilePosition(const Grid& grid)
      : first_tile(grid.first_tile()), tiles_per_edge(grid.tiling().tiles_per_edge), size(grid.tile_cells()) {}
  KOKKOS_INLINE_FUNCTION int row(int tile) const {
    return (first_tile + tile) / tiles_per_edge % tiles_per_edge * size;
  }
  KOKKOS_INLINE_FUNCTION int column(int tile) const { return (first_tile + tile) % tiles_per_edge * size; }
};

}  // namespace tramontane
