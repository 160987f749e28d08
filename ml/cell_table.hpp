/// Sparse matrices over the cells of a tiled sphere: halo fill, pooling and upsampling of networks, in index space.
#pragma once

#include <vector>

#include "kernels/network_gather.hpp"
#include "kernels/tiling.hpp"

namespace tramontane {

/// A matrix over cells in compressed rows, in host memory (see GatherRows). Cells are numbered
/// (tile, j, i) -> (tile * size + j) * size + i, with size = cells per tile edge, or size + 2 border for padded tiles.
struct CellTable {
  int columns = 0;
  std::vector<int> row_begin{0};
  std::vector<int> source;
  std::vector<float> weight;

  int rows() const { return static_cast<int>(row_begin.size()) - 1; }
  GatherRows view() const { return {rows(), row_begin.data(), source.data(), weight.data()}; }
};

/// Rows: padded cells (tile, T + 2 border, T + 2 border) of every tile; columns: cells (tile, T, T) of the same grid. A
/// ghost is the cell that lies as deep beyond the edge of the tile or panel. Beyond a panel's corner, where three
/// panels meet and no fourth quadrant exists, two cells claim a ghost at depths (a, b): the one reached by crossing
/// first one side and then, from its ghost zone, the other, and the one reached the other way round. The ghost is their
/// mean, at every depth; next to the corner that is the mean of the two ghosts beside it. Throws InputError if the
/// border is wider than a panel.
CellTable halo_table(const Tiling& grid, int border = 1);

/// Rows: cells of the grid of half the resolution; columns: cells of `fine`. Mean over 2 x 2 cells.
CellTable pool_table(const Tiling& fine);

/// Rows: cells of `fine`; columns: cells of the grid of half the resolution. Nearest neighbour.
CellTable upsample_table(const Tiling& fine);

/// What lies between two layers. The composed links do in one pass what would else be two.
enum class CellLink { halo, pool_halo, upsample_halo };

/// The matrix of a link. `grid` is the full-resolution grid, `level` the level of the padded target (resolution
/// n / 2^level), `border` the width of its ghost zone; the source lives on level, level - 1 (pool) or level + 1
/// (upsample).
CellTable link_table(const Tiling& grid, int level, CellLink link, int border = 1);

/// Level of the cells that a link reads.
inline int source_level(CellLink link, int level) {
  return link == CellLink::pool_halo ? level - 1 : link == CellLink::upsample_halo ? level + 1 : level;
}

/// The matrix product first-after-second: applying the result is applying `second`, then `first`.
CellTable compose(const CellTable& first, const CellTable& second);

/// The transposed matrix: its rows list their entries in ascending order, so sums keep a fixed order.
CellTable transposed(const CellTable& table);

}  // namespace tramontane
