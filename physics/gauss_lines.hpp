/// Pieces of the two-dimensional reconstruction for terms that are centred: sixth-order values and slopes at faces, and
/// the velocity there. Fields are sqrt_g-weighted cell means, as in the state.
#pragma once

#include "kernels/reconstruction.hpp"
#include "physics/grid.hpp"

namespace tramontane {

/// Cells to either side of a tile that a centred face value at the tile's rim reads.
inline constexpr int kCentredReach = 3;
static_assert(kHalo >= kCentredReach);

/// Value at the face in the middle of six cells from their means at(0) to at(5): sixth order, the mean of the two
/// fifth-order upwind values.
template <class At>
KOKKOS_FORCEINLINE_FUNCTION auto centred_face_value(const At& at) {
  using T = std::decay_t<decltype(at(0))>;
  return multiply_add(T(1.0 / 60), at(0) + at(5),
                      multiply_add(T(-8.0 / 60), at(1) + at(4), T(37.0 / 60) * (at(2) + at(3))));
}

/// Slope there, per cell width: sixth order.
template <class At>
KOKKOS_FORCEINLINE_FUNCTION auto centred_face_slope(const At& at) {
  using T = std::decay_t<decltype(at(0))>;
  return multiply_add(T(2.0 / 180), at(5) - at(0),
                      multiply_add(T(-25.0 / 180), at(4) - at(1), T(245.0 / 180) * (at(3) - at(2))));
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

/// Per panel angle: covariant velocity along a face, and the flux through it, from contravariant components (across,
/// along). With x the tangent of the face's fixed angle, y that of its Gauss point: xx = 1 + x^2, yy = 1 + y^2, xy = x
/// y, inverse_delta = 1 / sqrt(1 + x^2 + y^2). Symmetric in the two directions.
template <class T>
struct FaceVelocity {
  T along, flux;
};
template <class T>
KOKKOS_FORCEINLINE_FUNCTION FaceVelocity<T> face_velocity(T xx, T yy, T xy, T inverse_delta, T across, T along) {
  const T sqrt_g = xx * yy * (inverse_delta * inverse_delta) * inverse_delta;
  return {sqrt_g * inverse_delta * multiply_add(yy, along, -(xy * across)), sqrt_g * across};
}

}  // namespace tramontane
