/// A box of cells, the same in several tiles: what a kernel of the solver works on at a time.
#pragma once

#include <algorithm>
#include <vector>

#include "physics/grid.hpp"

namespace tramontane {

/// Cells [j_begin, j_end) x [i_begin, i_end) of tiles [tile_begin, tile_end), all counted in the rank's own tiles.
struct Region {
  int tile_begin, tile_end, j_begin, j_end, i_begin, i_end;
  KOKKOS_INLINE_FUNCTION int tiles() const { return tile_end - tile_begin; }
  KOKKOS_INLINE_FUNCTION int rows() const { return j_end - j_begin; }
  KOKKOS_INLINE_FUNCTION int columns() const { return i_end - i_begin; }
};

/// Cuts a rank's tiles into regions. On the host a region's work space stays in the processor's private cache (a cell
/// needs about twenty numbers, so 48 x 48 cells take 400 kB in double); on a device one region is everything, so that
/// each kernel fills it. Columns are cut at multiples of eight, so that rows are whole vectors.
inline std::vector<Region> make_regions(int tiles, int size, int most_columns, int most_cells) {
#if defined(TRAMONTANE_DEVICE_LAYOUT)
  (void)most_columns, (void)most_cells;
  return {{0, tiles, 0, size, 0, size}};
#else
  const int across = (size + most_columns - 1) / most_columns;
  const int columns = ((size + across - 1) / across + 7) / 8 * 8;
  const int most_rows = std::max(1, most_cells / std::min(size, columns));
  const int down = (size + most_rows - 1) / most_rows;
  std::vector<Region> out;
  // Tiles innermost: the metric tables of a box are the same on all panels and stay in the cache meanwhile.
  for (int q = 0; q < down; ++q)
    for (int i = 0; i < size; i += columns)
      for (int tile = 0; tile < tiles; ++tile)
        out.push_back({tile, tile + 1, q * size / down, (q + 1) * size / down, i, std::min(size, i + columns)});
  return out;
#endif
}

}  // namespace tramontane
