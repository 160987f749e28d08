#include "physics/sample_pack.hpp"

#include <stdexcept>

#include "kernels/rows.hpp"
#include "physics/cell_values.hpp"

namespace tramontane {

namespace {

constexpr int kVariables = 9;

/// Rows of the table.
enum GeometryRow { mean_sqrt_g, orography, alpha_x, alpha_y, alpha_z, beta_x, beta_y, beta_z, row_count };

/// The flow's variables along a row of a tile.
struct StateRow {
  const Real *e, *a, *b;
};

KOKKOS_FORCEINLINE_FUNCTION StateRow row_of(const State& state, int tile, int j) {
  return {&state(tile, 0, 0, j + kHalo, kHalo), &state(tile, 0, 1, j + kHalo, kHalo),
          &state(tile, 0, 2, j + kHalo, kHalo)};
}

KOKKOS_FORCEINLINE_FUNCTION CellValues values_at(const StateRow& row, int i, const CellPlace& place, double gravity,
                                                 double reference) {
  return cell_values(row.e[i], row.a[i], row.b[i], place, gravity, reference);
}

}  // namespace

SamplePack::SamplePack(const ShallowWater& coarse)
    : gravity_(coarse.gravity()), reference_(coarse.reference()), size_(coarse.grid().tile_cells()) {
  const Grid& grid = coarse.grid();
  geometry_ = View<double**>("sample geometry", row_count, grid.tile_count() * grid.tiling().cells_per_tile());
  auto host = Kokkos::create_mirror_view(geometry_);
  int k = 0;
  for (int tile = 0; tile < grid.tile_count(); ++tile) {
    const TilePlace place = grid.tiling().place(grid.first_tile() + tile);
    for (int j = 0; j < size_; ++j)
      for (int i = 0; i < size_; ++i, ++k) {
        const PanelCell cell{place.panel, place.tj * size_ + j, place.ti * size_ + i};
        const Basis basis = basis_at(grid.centre(cell));
        const double column[row_count] = {grid.mean_sqrt_g(cell.j, cell.i),
                                          coarse.orography()[static_cast<std::size_t>(k)],
                                          basis.alpha.x,
                                          basis.alpha.y,
                                          basis.alpha.z,
                                          basis.beta.x,
                                          basis.beta.y,
                                          basis.beta.z};
        for (int row = 0; row < row_count; ++row) host(row, k) = column[row];
      }
  }
  Kokkos::deep_copy(geometry_, host);
}

void SamplePack::operator()(std::span<float* const> variables, const State& start, const State& end,
                            const State& truth, double seconds) const {
  if (sample_inputs().size() + sample_targets().size() != kVariables || variables.size() != kVariables)
    throw std::logic_error("SamplePack: a sample has other variables");
  Kokkos::Array<float*, kVariables> out;
  for (int v = 0; v < kVariables; ++v) out[v] = variables[v];
  const auto geometry = geometry_;
  const double gravity = gravity_, reference = reference_;
  const int size = size_, rows = cells() / size_;
  for_rows(
      "pack sample", rows, KOKKOS_LAMBDA(const RowMember& team, int row) {
        const int tile = row / size, j = row % size, first = row * size;
        const StateRow from = row_of(start, tile, j), here = row_of(end, tile, j), there = row_of(truth, tile, j);
        const double* table[row_count];
        for (int k = 0; k < row_count; ++k) table[k] = &geometry(k, first);
        float* to[kVariables];
        for (int v = 0; v < kVariables; ++v) to[v] = out[v] + first;
        simd_for(team, 0, size, [&](int i) {
          const CellPlace place{table[mean_sqrt_g][i],
                                table[orography][i],
                                {{table[alpha_x][i], table[alpha_y][i], table[alpha_z][i]},
                                 {table[beta_x][i], table[beta_y][i], table[beta_z][i]}}};
          const CellValues input = values_at(from, i, place, gravity, reference);
          to[0][i] = static_cast<float>(input.depth + place.orography);
          to[1][i] = static_cast<float>(input.velocity.x);
          to[2][i] = static_cast<float>(input.velocity.y);
          to[3][i] = static_cast<float>(input.velocity.z);
          to[4][i] = static_cast<float>(place.orography);
          const CellValues reached = values_at(here, i, place, gravity, reference);
          const CellValues due = values_at(there, i, place, gravity, reference);
          to[5][i] = static_cast<float>((due.depth - reached.depth) / seconds);
          to[6][i] = static_cast<float>((due.velocity.x - reached.velocity.x) / seconds);
          to[7][i] = static_cast<float>((due.velocity.y - reached.velocity.y) / seconds);
          to[8][i] = static_cast<float>((due.velocity.z - reached.velocity.z) / seconds);
        });
      });
}

}  // namespace tramontane
