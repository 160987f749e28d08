#include "physics/diagnostics.hpp"

#include <cmath>

namespace tramontane {

std::vector<double> sum_over_tiles(const Tiling& tiling, MPI_Comm comm, const std::vector<double>& per_tile,
                                   int quantities) {
  std::vector<int> counts(tiling.ranks), offsets(tiling.ranks);
  for (int rank = 0; rank < tiling.ranks; ++rank) {
    counts[rank] = tiling.owned_count(rank) * quantities;
    offsets[rank] = tiling.first_tile(rank) * quantities;
  }
  std::vector<double> all(static_cast<std::size_t>(tiling.tile_count()) * quantities);
  MPI_Allgatherv(per_tile.data(), static_cast<int>(per_tile.size()), MPI_DOUBLE, all.data(), counts.data(),
                 offsets.data(), MPI_DOUBLE, comm);
  std::vector<double> sums(quantities, 0.0);
  for (int tile = 0; tile < tiling.tile_count(); ++tile)
    for (int q = 0; q < quantities; ++q) sums[q] += all[static_cast<std::size_t>(tile) * quantities + q];
  return sums;
}

std::vector<double> relative_vorticity(ShallowWater& solver, const State& state, int level) {
  const Grid& grid = solver.grid();
  const int size = grid.tile_cells();
  solver.fill_ghosts(state);
  auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), state);
  const auto bottom = Kokkos::create_mirror_view_and_copy(HostSpace(), solver.ghosted_bottom());
  std::vector<double> out(static_cast<std::size_t>(grid.tile_count()) * size * size);
  std::size_t k = 0;
  for (int tile = 0; tile < grid.tile_count(); ++tile) {
    const TilePlace place = grid.tiling().place(grid.first_tile() + tile);
    // Covariant velocity at the centre of a (possibly ghost) cell.
    auto covariant = [&](int j, int i, bool along_alpha) {
      const double phi_sqrt_g = host(tile, level, 0, j + kHalo, i + kHalo) - bottom(tile, j + kHalo, i + kHalo);
      const Metric m = metric_at(std::tan(grid.angle(place.ti * size + i)), std::tan(grid.angle(place.tj * size + j)));
      const double a = host(tile, level, 1, j + kHalo, i + kHalo) / phi_sqrt_g,
                   b = host(tile, level, 2, j + kHalo, i + kHalo) / phi_sqrt_g;
      return along_alpha ? m.g_aa * a + m.g_ab * b : m.g_ab * a + m.g_bb * b;
    };
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i, ++k) {
        const double d_alpha = covariant(j, i + 1, false) - covariant(j, i - 1, false);
        const double d_beta = covariant(j + 1, i, true) - covariant(j - 1, i, true);
        out[k] = (d_alpha - d_beta) / (2 * grid.spacing()) /
                 (grid.mean_sqrt_g(place.tj * size + j, place.ti * size + i) * grid.radius());
      }
  }
  return out;
}

Budgets budgets(ShallowWater& solver, const State& state, int level) {
  const Grid& grid = solver.grid();
  const int size = grid.tile_cells();
  const std::vector<double> vorticity = relative_vorticity(solver, state, level);
  const CellFields fields = cell_fields(solver, state, level);
  std::vector<double> per_tile(static_cast<std::size_t>(grid.tile_count()) * 3, 0.0);
  std::size_t k = 0;
  for (int tile = 0; tile < grid.tile_count(); ++tile) {
    const TilePlace place = grid.tiling().place(grid.first_tile() + tile);
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i, ++k) {
        const double area = grid.cell_area(place.tj * size + j, place.ti * size + i), h = fields.depth[k];
        const double speed2 = fields.velocity[0][k] * fields.velocity[0][k] +
                              fields.velocity[1][k] * fields.velocity[1][k] +
                              fields.velocity[2][k] * fields.velocity[2][k];
        const PanelCell cell{place.panel, place.tj * size + j, place.ti * size + i};
        const double absolute = vorticity[k] + 2 * dot(solver.rotation(), to_cartesian(grid.centre(cell)));
        per_tile[3 * tile] += area * h;
        per_tile[3 * tile + 1] += area * (0.5 * h * speed2 + solver.gravity() * h * (0.5 * h + solver.orography()[k]));
        per_tile[3 * tile + 2] += area * 0.5 * absolute * absolute / h;
      }
  }
  const std::vector<double> sums = sum_over_tiles(grid.tiling(), solver.comm(), per_tile, 3);
  return {sums[0], sums[1], sums[2]};
}

ErrorNorms error_norms(const Grid& grid, MPI_Comm comm, const std::vector<double>& value,
                       const std::vector<double>& exact) {
  const int size = grid.tile_cells();
  std::vector<double> per_tile(static_cast<std::size_t>(grid.tile_count()) * 4, 0.0);
  double largest[2] = {0.0, 0.0};
  std::size_t k = 0;
  for (int tile = 0; tile < grid.tile_count(); ++tile) {
    const TilePlace place = grid.tiling().place(grid.first_tile() + tile);
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i, ++k) {
        const double area = grid.cell_area(place.tj * size + j, place.ti * size + i);
        const double error = std::abs(value[k] - exact[k]), size_of = std::abs(exact[k]);
        per_tile[4 * tile] += area * error;
        per_tile[4 * tile + 1] += area * size_of;
        per_tile[4 * tile + 2] += area * error * error;
        per_tile[4 * tile + 3] += area * size_of * size_of;
        // Not std::max: a NaN must come through.
        if (!(error <= largest[0])) largest[0] = error;
        if (!(size_of <= largest[1])) largest[1] = size_of;
      }
  }
  const std::vector<double> s = sum_over_tiles(grid.tiling(), comm, per_tile, 4);
  MPI_Allreduce(MPI_IN_PLACE, largest, 2, MPI_DOUBLE, MPI_MAX, comm);
  return {s[0] / s[1], std::sqrt(s[2] / s[3]), largest[0] / largest[1]};
}

bool any_not_finite(MPI_Comm comm, const std::vector<double>& values) {
  int found = 0;
  for (double v : values)
    if (!std::isfinite(v)) found = 1;
  MPI_Allreduce(MPI_IN_PLACE, &found, 1, MPI_INT, MPI_MAX, comm);
  return found != 0;
}

}  // namespace tramontane
