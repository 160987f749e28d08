/// What the solver's kernels share: rows, and where a tile lies in the tables of its panel.
#pragma once

#include "kernels/rows.hpp"
#include "physics/grid.hpp"

namespace tramontane {

using Row = const Real* __restrict__;
using OutputRow = Real* __restrict__;

/// Reads a table or a state that comes from beyond the private cache, and asks for what is kAhead places further on:
/// more rows are read side by side than a processor's own prefetchers follow. Rows lie one after the other, so that
/// towards a row's end that is the next one's begin; past an array's end a request does no harm.
inline constexpr int kAhead = 512 / static_cast<int>(sizeof(Real));
KOKKOS_FORCEINLINE_FUNCTION Real stream(const Real* row, int i) { return row[i]; }
#if defined(TRAMONTANE_HAS_PACKS)
KOKKOS_FORCEINLINE_FUNCTION Pack stream(const Real* row, PackIndex i) {
  __builtin_prefetch(row + i.first + kAhead);
  return load(row, i);
}
#endif

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
