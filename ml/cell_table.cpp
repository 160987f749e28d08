#include "ml/cell_table.hpp"

namespace tramontane {
namespace {

int cell_index(const Tiling& grid, PanelCell cell) {
  const int size = grid.tile_cells();
  return (grid.tile_of(cell) * size + cell.j % size) * size + cell.i % size;
}

/// Calls body(PanelCell) for every cell in the order (tile, j, i).
template <class Body>
void for_each_cell(const Tiling& grid, int border, const Body& body) {
  const int size = grid.tile_cells();
  for (int tile = 0; tile < grid.tile_count(); ++tile) {
    const TilePlace place = grid.place(tile);
    for (int j = -border; j < size + border; ++j)
      for (int i = -border; i < size + border; ++i)
        body(PanelCell{place.panel, place.tj * size + j, place.ti * size + i});
  }
}

/// The side beyond which an index lies, or -1.
int side_beyond(int index, int n, Side low, Side high) {
  return index < 0 ? low : index >= n ? high : -1;
}
int depth_beyond(int index, int n) {
  return index < 0 ? -1 - index : index - n;
}

/// The cell meant by an index of which at most one part lies beyond its panel.
PanelCell folded(PanelCell cell, int n) {
  const int side_i = side_beyond(cell.i, n, kWest, kEast), side_j = side_beyond(cell.j, n, kSouth, kNorth);
  if (side_i >= 0) return cell_across(cell.panel, side_i, cell.j, depth_beyond(cell.i, n), n);
  if (side_j >= 0) return cell_across(cell.panel, side_j, cell.i, depth_beyond(cell.j, n), n);
  return cell;
}

Tiling halved(const Tiling& fine) {
  if (fine.tile_cells() % 2 != 0)
    throw InputError("a tile of " + std::to_string(fine.tile_cells()) +
                     " cells cannot be pooled: lower surrogate.network.levels or grid.tiles_per_edge");
  return fine.at_resolution(fine.n / 2);
}

}  // namespace

CellTable halo_table(const Tiling& grid, int border) {
  const int n = grid.n;
  if (border > n)
    throw InputError("a halo of " + std::to_string(border) + " cells is wider than a panel of " + std::to_string(n) +
                     ": lower surrogate.network.dilations or surrogate.network.levels");
  CellTable table;
  table.columns = grid.cell_count();
  auto add = [&](PanelCell cell, float weight) {
    table.source.push_back(cell_index(grid, cell));
    table.weight.push_back(weight);
  };
  for_each_cell(grid, border, [&](PanelCell cell) {
    const int side_i = side_beyond(cell.i, n, kWest, kEast), side_j = side_beyond(cell.j, n, kSouth, kNorth);
    if (side_i < 0 || side_j < 0) {
      add(folded(cell, n), 1);
    } else {
      // cell_across keeps the position along the edge, which lies beyond the corner here: fold once more.
      const PanelCell across_i = cell_across(cell.panel, side_i, cell.j, depth_beyond(cell.i, n), n);
      const PanelCell across_j = cell_across(cell.panel, side_j, cell.i, depth_beyond(cell.j, n), n);
      add(folded(across_j, n), 0.5f);
      add(folded(across_i, n), 0.5f);
    }
    table.row_begin.push_back(static_cast<int>(table.source.size()));
  });
  return table;
}

CellTable pool_table(const Tiling& fine) {
  CellTable table;
  table.columns = fine.cell_count();
  for_each_cell(halved(fine), 0, [&](PanelCell cell) {
    for (int dj = 0; dj < 2; ++dj)
      for (int di = 0; di < 2; ++di) {
        table.source.push_back(cell_index(fine, {cell.panel, 2 * cell.j + dj, 2 * cell.i + di}));
        table.weight.push_back(0.25f);
      }
    table.row_begin.push_back(static_cast<int>(table.source.size()));
  });
  return table;
}

CellTable upsample_table(const Tiling& fine) {
  CellTable table;
  const Tiling coarse = halved(fine);
  table.columns = coarse.cell_count();
  for_each_cell(fine, 0, [&](PanelCell cell) {
    table.source.push_back(cell_index(coarse, {cell.panel, cell.j / 2, cell.i / 2}));
    table.weight.push_back(1);
    table.row_begin.push_back(static_cast<int>(table.source.size()));
  });
  return table;
}

CellTable link_table(const Tiling& grid, int level, CellLink link, int border) {
  const Tiling here = grid.at_resolution(grid.n >> level);
  const CellTable halo = halo_table(here, border);
  if (link == CellLink::pool_halo) return compose(halo, pool_table(grid.at_resolution(grid.n >> (level - 1))));
  if (link == CellLink::upsample_halo) return compose(halo, upsample_table(here));
  return halo;
}

CellTable compose(const CellTable& first, const CellTable& second) {
  CellTable table;
  table.columns = second.columns;
  for (int row = 0; row < first.rows(); ++row) {
    for (int k = first.row_begin[row]; k < first.row_begin[row + 1]; ++k)
      for (int l = second.row_begin[first.source[k]]; l < second.row_begin[first.source[k] + 1]; ++l) {
        table.source.push_back(second.source[l]);
        table.weight.push_back(first.weight[k] * second.weight[l]);
      }
    table.row_begin.push_back(static_cast<int>(table.source.size()));
  }
  return table;
}

CellTable transposed(const CellTable& table) {
  CellTable result;
  result.columns = table.rows();
  result.row_begin.assign(table.columns + 1, 0);
  for (int cell : table.source) ++result.row_begin[cell + 1];
  for (int row = 0; row < table.columns; ++row) result.row_begin[row + 1] += result.row_begin[row];
  result.source.resize(table.source.size());
  result.weight.resize(table.source.size());
  std::vector<int> next(result.row_begin.begin(), result.row_begin.end() - 1);
  for (int row = 0; row < table.rows(); ++row)
    for (int k = table.row_begin[row]; k < table.row_begin[row + 1]; ++k) {
      const int at = next[table.source[k]]++;
      result.source[at] = row;
      result.weight[at] = table.weight[k];
    }
  return result;
}

}  // namespace tramontane
