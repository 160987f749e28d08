/// Sparse matrices over the cells of a tiled sphere: halo fill, pooling and upsampling of networks, in index space.
#pragma once

#include <vector>

#include "kernels/network_gather.hpp"
#include "kernels/tiling.hpp"

namespace tramontane {

/// A matrix over cells in compressed rows, in host memory (see GatherRows). Cells are numbered
/// (tile, j, i) -> (tile * size + j) * size + i, with size = cells per tile edge, or size + 2 for padded tiles.
struct CellTable {
  int columns = 0;
  std::vector<int> row_begin{0};
  std::vector<int> source;
  std::vector<float> weight;

  int rows() const { return static_cast<int>(row_begin.size()) - 1; }
  GatherRows view() const { return {rows(), row_begin.data(), source.data(), weight.data()}; }
};

/// Rows: padded cells (tile, T + 2, T + 2) of every tile; columns: cells (tile, T, T) of the same grid. A ghost is the
/// cell across the edge of the tile or panel; at a panel corner, where no ninth neighbour exists, it is the mean of
/// the two ghosts beside it.
CellTable halo_table(const Tiling& grid);

/// Rows: cells of the grid of half the resolution; columns: cells of `fine`. Mean over 2 x 2 cells.
CellTable pool_table(const Tiling& fine);

/// Rows: cells of `fine`; columns: cells of the grid of half the resolution. Nearest neighbour.
CellTable upsample_table(const Tiling& fine);

/// The matrix product first-after-second: applying the result is applying `second`, then `first`.
CellTable compose(const CellTable& first, const CellTable& second);

/// The transposed matrix: its rows list their entries in ascending order, so sums keep a fixed order.
CellTable transposed(const CellTable& table);

}  // namespace tramontane
