/// Panels cut into tiles, tiles dealt to ranks: index arithmetic only, shared by solver, stream and networks.
#pragma once

#include <string>
#include <vector>

#include "kernels/errors.hpp"
#include "kernels/panel_topology.hpp"

namespace tramontane {

/// Where a tile lies: panel, and its row (tj) and column (ti) among the panel's tiles.
struct TilePlace {
  int panel, tj, ti;
};

/// A grid of six panels of n x n cells, each cut into tiles_per_edge^2 square tiles, dealt to `ranks` ranks in
/// contiguous runs of tile numbers. Tile number = (panel * tiles_per_edge + tj) * tiles_per_edge + ti.
///
/// Fields on tiles are host vectors of shape (owned tiles in ascending number, tile_cells, tile_cells), last index
/// along alpha, unless said otherwise. Global fields have shape (6, n, n).
struct Tiling {
  int n = 0;
  int tiles_per_edge = 1;
  int ranks = 1;

  Tiling() = default;
  /// Throws InputError when the panel does not divide into the tiles or there are more ranks than tiles.
  Tiling(int cells, int tiles, int rank_count) : n(cells), tiles_per_edge(tiles), ranks(rank_count) {
    if (n < 1 || tiles_per_edge < 1 || n % tiles_per_edge != 0)
      throw InputError("grid.n = " + std::to_string(n) + " does not divide into grid.tiles_per_edge = " +
                       std::to_string(tiles_per_edge) + " tiles: choose a divisor of grid.n");
    if (ranks > tile_count())
      throw InputError(std::to_string(ranks) + " solver ranks for " + std::to_string(tile_count()) +
                       " tiles: raise grid.tiles_per_edge or lower ranks.solver");
  }

  int tile_cells() const { return n / tiles_per_edge; }
  int tile_count() const { return kPanels * tiles_per_edge * tiles_per_edge; }
  /// Cells of one tile, and of the whole sphere.
  int cells_per_tile() const { return tile_cells() * tile_cells(); }
  int cell_count() const { return kPanels * n * n; }

  TilePlace place(int tile) const {
    const int t = tiles_per_edge;
    return {tile / (t * t), (tile / t) % t, tile % t};
  }
  int tile_at(int panel, int tj, int ti) const { return (panel * tiles_per_edge + tj) * tiles_per_edge + ti; }
  /// The tile that holds a cell.
  int tile_of(PanelCell c) const { return tile_at(c.panel, c.j / tile_cells(), c.i / tile_cells()); }

  int first_tile(int rank) const { return static_cast<int>(static_cast<long>(tile_count()) * rank / ranks); }
  int owned_count(int rank) const { return first_tile(rank + 1) - first_tile(rank); }
  int owner(int tile) const {
    int rank = static_cast<int>(static_cast<long>(tile) * ranks / tile_count());
    while (first_tile(rank + 1) <= tile) ++rank;
    while (first_tile(rank) > tile) --rank;
    return rank;
  }
  /// Offset of a cell in a global field of shape (6, n, n).
  std::size_t global_offset(PanelCell c) const { return (static_cast<std::size_t>(c.panel) * n + c.j) * n + c.i; }
  /// The same grid at another resolution, tiles and owners unchanged (exact nesting).
  Tiling at_resolution(int cells) const { return Tiling(cells, tiles_per_edge, ranks); }
};

/// Copies between a global field (6, n, n) and a field on the tiles [first, first + count).
template <class T>
std::vector<T> tiles_from_global(const Tiling& g, const std::vector<T>& global, int first, int count) {
  std::vector<T> out(static_cast<std::size_t>(count) * g.cells_per_tile());
  const int size = g.tile_cells();
  std::size_t k = 0;
  for (int tile = first; tile < first + count; ++tile) {
    const TilePlace p = g.place(tile);
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i, ++k) out[k] = global[g.global_offset({p.panel, p.tj * size + j, p.ti * size + i})];
  }
  return out;
}

template <class T>
void tiles_to_global(const Tiling& g, const T* tiles, int first, int count, std::vector<T>& global) {
  global.resize(g.cell_count());
  const int size = g.tile_cells();
  std::size_t k = 0;
  for (int tile = first; tile < first + count; ++tile) {
    const TilePlace p = g.place(tile);
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i, ++k)
        global[g.global_offset({p.panel, p.tj * size + j, p.ti * size + i})] = tiles[k];
  }
}

}  // namespace tramontane
