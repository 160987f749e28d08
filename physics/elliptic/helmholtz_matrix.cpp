#include "physics/elliptic/helmholtz_matrix.hpp"

#include <algorithm>
#include <cmath>

namespace tramontane {

using petsc::check;

namespace {

constexpr int kNeighbours = 9;
constexpr int kOffset[kNeighbours][2] = {{0, 0}, {-2, 0}, {2, 0}, {0, -2}, {0, 2}, {-1, -1}, {1, -1}, {-1, 1}, {1, 1}};

/// Row number of a cell.
PetscInt row_of(const Tiling& tiling, PanelCell c, int level, int levels) {
  const int size = tiling.tile_cells();
  return ((static_cast<PetscInt>(tiling.tile_of(c)) * levels + level) * size + c.j % size) * size + c.i % size;
}

/// The cell that holds the centre of a cell of the extended panel.
PanelCell cell_at(const Grid& grid, PanelCell c) {
  const int n = grid.n();
  if (c.i >= 0 && c.i < n && c.j >= 0 && c.j < n) return c;
  const PanelPoint p = to_panel(to_cartesian(grid.centre(c)));
  const auto index = [&](double angle) {
    return std::clamp(static_cast<int>(std::floor((angle + kQuarterPi) / grid.spacing())), 0, n - 1);
  };
  return {p.panel, index(p.beta), index(p.alpha)};
}

template <class Function>
void for_rows_of(const Grid& grid, int levels, const Function& f) {
  const int size = grid.tile_cells();
  for (int tile = 0; tile < grid.tile_count(); ++tile) {
    const TilePlace place = grid.tiling().place(grid.first_tile() + tile);
    for (int level = 0; level < levels; ++level)
      for (int j = 0; j < size; ++j)
        for (int i = 0; i < size; ++i)
          f(tile, level, j, i, PanelCell{place.panel, place.tj * size + j, place.ti * size + i});
  }
}

}  // namespace

petsc::Matrix helmholtz_matrix(const Grid& grid, MPI_Comm comm, int levels) {
  const PetscInt local = static_cast<PetscInt>(grid.tile_count()) * levels * grid.tiling().cells_per_tile();
  Mat m = nullptr;
  check(MatCreateAIJ(comm, local, local, PETSC_DETERMINE, PETSC_DETERMINE, kNeighbours, nullptr, kNeighbours, nullptr,
                     &m),
        "create a matrix");
  petsc::Matrix matrix(m);
  check(MatSetOption(m, MAT_NEW_NONZERO_ALLOCATION_ERR, PETSC_FALSE), "set a matrix up");
  return matrix;
}

void fill_helmholtz_matrix(Mat matrix, const Grid& grid, int levels, double reference, const View<Real***>& bottom,
                           double s) {
  const auto bottom_host = Kokkos::create_mirror_view_and_copy(HostSpace(), bottom);
  const double scale = std::pow(s / (grid.radius() * grid.spacing()), 2) / 4;
  check(MatZeroEntries(matrix), "clear a matrix");
  for_rows_of(grid, levels, [&](int tile, int level, int j, int i, PanelCell c) {
    const double mean = grid.mean_sqrt_g(c.j, c.i);
    const double phi = std::max(-bottom_host(tile, j, i) / mean, 0.1 * reference);
    const Metric g = metric_at(std::tan(grid.angle(c.i)), std::tan(grid.angle(c.j)));
    const double aa = scale * phi * g.h_aa, bb = scale * phi * g.h_bb, ab = 2 * scale * phi * g.h_ab;
    const double weight[kNeighbours] = {2 * (aa + bb), -aa, -aa, -bb, -bb, -ab, ab, ab, -ab};
    PetscInt columns[kNeighbours];
    double values[kNeighbours];
    for (int k = 0; k < kNeighbours; ++k) {
      const PanelCell other = cell_at(grid, {c.panel, c.j + kOffset[k][1], c.i + kOffset[k][0]});
      columns[k] = row_of(grid.tiling(), other, level, levels);
      values[k] = weight[k] * mean / grid.mean_sqrt_g(other.j, other.i) + (k == 0 ? 1.0 : 0.0);
    }
    const PetscInt row = row_of(grid.tiling(), c, level, levels);
    check(MatSetValues(matrix, 1, &row, kNeighbours, columns, values, ADD_VALUES), "fill a matrix");
  });
  check(MatAssemblyBegin(matrix, MAT_FINAL_ASSEMBLY), "assemble a matrix");
  check(MatAssemblyEnd(matrix, MAT_FINAL_ASSEMBLY), "assemble a matrix");
}

}  // namespace tramontane
