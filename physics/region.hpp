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

/// Regions of one stage by when they may be worked on.
struct SweepRegions {
  std::vector<Region> before_ghosts;  ///< read no ghost cell: worked on while ghost values travel
  std::vector<Region> rim;            ///< the rest, panel edges among it
  std::vector<Region> after_edges;    ///< as the first: worked on while states on panel edges travel

  std::vector<Region> all() const {
    std::vector<Region> out = before_ghosts;
    out.insert(out.end(), rim.begin(), rim.end());
    out.insert(out.end(), after_edges.begin(), after_edges.end());
    return out;
  }
};

namespace region_detail {

/// Cuts a box of all tiles. On the host a region's work space stays in the processor's private cache (a cell needs about
/// twenty numbers, so 48 x 48 cells take 400 kB in double); on a device one region is everything, so that each kernel
/// fills it. Columns are cut at multiples of eight, so that rows are whole vectors.
inline void cut(const Region& box, int most_columns, int most_cells, std::vector<Region>& out) {
  if (box.rows() <= 0 || box.columns() <= 0) return;
#if defined(TRAMONTANE_DEVICE_LAYOUT)
  (void)most_columns, (void)most_cells;
  out.push_back(box);
#else
  const int across = (box.columns() + most_columns - 1) / most_columns;
  const int columns = ((box.columns() + across - 1) / across + 7) / 8 * 8;
  const int most_rows = std::max(1, most_cells / std::min(box.columns(), columns));
  const int down = (box.rows() + most_rows - 1) / most_rows;
  // Tiles innermost: the metric tables of a box are the same on all panels and stay in the cache meanwhile.
  for (int q = 0; q < down; ++q)
    for (int i = box.i_begin; i < box.i_end; i += columns)
      for (int tile = box.tile_begin; tile < box.tile_end; ++tile)
        out.push_back({tile, tile + 1, box.j_begin + q * box.rows() / down, box.j_begin + (q + 1) * box.rows() / down, i,
                       std::min(box.i_end, i + columns)});
#endif
}

}  // namespace region_detail

/// The regions of `tiles` tiles of size x size cells. Without `overlap`, or on tiles too small for it, all are in the
/// rim. The rim is eight cells wide: one vector, and more than any stencil reaches.
inline SweepRegions make_regions(int tiles, int size, int most_columns, int most_cells, bool overlap) {
  constexpr int rim = 8;
  static_assert(rim >= kHalo);
  SweepRegions out;
  const auto cut = [&](int j_begin, int j_end, int i_begin, int i_end, std::vector<Region>& list) {
    region_detail::cut({0, tiles, j_begin, j_end, i_begin, i_end}, most_columns, most_cells, list);
  };
  if (!overlap || size < 4 * rim) {
    cut(0, size, 0, size, out.rim);
    return out;
  }
  cut(rim, size / 2, rim, size - rim, out.before_ghosts);
  cut(0, rim, 0, size, out.rim);
  cut(size - rim, size, 0, size, out.rim);
  cut(rim, size - rim, 0, rim, out.rim);
  cut(rim, size - rim, size - rim, size, out.rim);
  cut(size / 2, size - rim, rim, size - rim, out.after_edges);
  return out;
}

}  // namespace tramontane
