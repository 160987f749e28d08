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
/// each kernel fills it.
inline std::vector<Region> make_regions(int tiles, int size, int most_rows, int most_columns) {
  if (!Kokkos::SpaceAccessibility<HostSpace, MemorySpace>::accessible) return {{0, tiles, 0, size, 0, size}};
  const auto cut = [size](int most) { return (size + most - 1) / most; };
  const int across = cut(most_columns), down = cut(most_rows);
  std::vector<Region> out;
  for (int tile = 0; tile < tiles; ++tile)
    for (int q = 0; q < down; ++q)
      for (int p = 0; p < across; ++p)
        out.push_back({tile, tile + 1, q * size / down, (q + 1) * size / down, p * size / across,
                       (p + 1) * size / across});
  return out;
}

}  // namespace tramontane
