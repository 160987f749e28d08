/// What the solver's kernels share: rows, and where a tile lies in the tables of its panel.
#pragma once

#include "kernels/rows.hpp"
#include "physics/grid.hpp"

namespace tramontane {

using Row = const Real* __restrict__;
using OutputRow = Real* __restrict__;

/// Where a tile lies in the metric tables of its panel.
struct TileOrigin {
  int first_tile, tiles_per_edge, size;
  explicit TileOrigin(const Grid& grid)
      : first_tile(grid.first_tile()), tiles_per_edge(grid.tiling().tiles_per_edge), size(grid.tile_cells()) {}
  KOKKOS_INLINE_FUNCTION int panel(int tile) const { return (first_tile + tile) / (tiles_per_edge * tiles_per_edge); }
  KOKKOS_INLINE_FUNCTION int row(int tile) const {
    return (first_tile + tile) / tiles_per_edge % tiles_per_edge * size;
  }
  KOKKOS_INLINE_FUNCTION int column(int tile) const { return (first_tile + tile) % tiles_per_edge * size; }
  /// Whether face 0 or face `size` of a tile across alpha (beta) lies on a panel edge.
  KOKKOS_INLINE_FUNCTION bool on_panel_edge_alpha(int tile, int face) const {
    return (column(tile) == 0 && face == 0) || (column(tile) == (tiles_per_edge - 1) * size && face == size);
  }
  KOKKOS_INLINE_FUNCTION bool on_panel_edge_beta(int tile, int face) const {
    return (row(tile) == 0 && face == 0) || (row(tile) == (tiles_per_edge - 1) * size && face == size);
  }
};

}  // namespace tramontane
