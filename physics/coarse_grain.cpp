#include "physics/coarse_grain.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "physics/diagnostics.hpp"

namespace tramontane {

int nesting_ratio(int fine_n, int coarse_n) {
  if (coarse_n < 1 || fine_n % coarse_n != 0)
    throw InputError(
        fmt::format("C{} does not nest in C{}: choose surrogate.coarse_n as a divisor of grid.n", coarse_n, fine_n));
  return fine_n / coarse_n;
}

std::vector<double> coarse_grain_means(const Grid& fine, const Grid& coarse, const std::vector<double>& field) {
  const int ratio = nesting_ratio(fine.n(), coarse.n()), size = coarse.tile_cells(), fine_size = fine.tile_cells();
  std::vector<double> out(static_cast<std::size_t>(coarse.tile_count()) * size * size);
  std::size_t k = 0;
  for (int tile = 0; tile < coarse.tile_count(); ++tile) {
    const TilePlace place = fine.tiling().place(fine.first_tile() + tile);
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i, ++k) {
        double sum = 0.0, weight = 0.0;
        for (int b = 0; b < ratio; ++b)
          for (int a = 0; a < ratio; ++a) {
            const int fj = j * ratio + b, fi = i * ratio + a;
            const double mean = fine.mean_sqrt_g(place.tj * fine_size + fj, place.ti * fine_size + fi);
            sum += mean * field[(static_cast<std::size_t>(tile) * fine_size + fj) * fine_size + fi];
            weight += mean;
          }
        out[k] = sum / weight;
      }
  }
  return out;
}

void coarse_grain_state(const ShallowWater& fine, const State& fine_state, const ShallowWater& coarse,
                        const State& coarse_state) {
  const int ratio = nesting_ratio(fine.grid().n(), coarse.grid().n());
  const int size = coarse.grid().tile_cells(), tiles = coarse.grid().tile_count(), levels = coarse.levels();
  const int variables = static_cast<int>(fine_state.extent(2));
  if (static_cast<int>(coarse_state.extent(2)) != variables)
    throw std::logic_error("coarse_grain_state: the two solvers carry different tracers");
  const double weight = 1.0 / (ratio * ratio);
  Kokkos::parallel_for(
      "coarse grain", Kokkos::RangePolicy<ExecutionSpace>(0, tiles * levels * variables * size * size),
      KOKKOS_LAMBDA(int flat) {
        const int i = flat % size, j = flat / size % size, v = flat / (size * size) % variables,
                  level = flat / (size * size * variables) % levels, tile = flat / (size * size * variables * levels);
        double sum = 0.0;
        for (int b = 0; b < ratio; ++b)
          for (int a = 0; a < ratio; ++a)
            sum += fine_state(tile, level, v, j * ratio + b + kHalo, i * ratio + a + kHalo);
        coarse_state(tile, level, v, j + kHalo, i + kHalo) = sum * weight;
      });
}

CellFields tendency_between(const CellFields& from, const CellFields& to, double seconds) {
  CellFields out = to;
  auto difference = [seconds](std::vector<double>& value, const std::vector<double>& before) {
    for (std::size_t k = 0; k < value.size(); ++k) value[k] = (value[k] - before[k]) / seconds;
  };
  difference(out.depth, from.depth);
  for (int c = 0; c < 3; ++c) difference(out.velocity[c], from.velocity[c]);
  return out;
}

View<Real*****> correction_forcing(const ShallowWater& solver, const State& state, const CellFields& tendency) {
  const Grid& grid = solver.grid();
  const int size = grid.tile_cells(), tiles = grid.tile_count();

  std::vector<double> per_tile(static_cast<std::size_t>(tiles) * 2, 0.0);
  std::size_t k = 0;
  for (int tile = 0; tile < tiles; ++tile) {
    const TilePlace place = grid.tiling().place(grid.first_tile() + tile);
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i, ++k) {
        const double mean = grid.mean_sqrt_g(place.tj * size + j, place.ti * size + i);
        per_tile[2 * tile] += mean * tendency.depth[k];
        per_tile[2 * tile + 1] += mean;
      }
  }
  const std::vector<double> sums = sum_over_tiles(grid.tiling(), solver.comm(), per_tile, 2);
  const double mean_tendency = sums[0] / sums[1];

  View<Real*****> forcing("correction forcing", tiles, solver.levels(), kPrognostic, size, size);
  auto out = Kokkos::create_mirror_view(forcing);
  auto now = Kokkos::create_mirror_view_and_copy(HostSpace(), state);
  auto bottom = Kokkos::create_mirror_view_and_copy(HostSpace(), solver.bottom());
  k = 0;
  for (int tile = 0; tile < tiles; ++tile) {
    const TilePlace place = grid.tiling().place(grid.first_tile() + tile);
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i, ++k) {
        const PanelCell cell{place.panel, place.tj * size + j, place.ti * size + i};
        const double mean = grid.mean_sqrt_g(cell.j, cell.i);
        const Contravariant u = to_contravariant(
            {tendency.velocity[0][k], tendency.velocity[1][k], tendency.velocity[2][k]}, grid.centre(cell));
        const double mass = mean * solver.gravity() * (tendency.depth[k] - mean_tendency);
        for (int level = 0; level < solver.levels(); ++level) {
          const double sqrt_g_phi = static_cast<double>(now(tile, level, 0, j + kHalo, i + kHalo)) - bottom(tile, j, i);
          const double growth = mass / sqrt_g_phi;  // dM = phi du + u dphi
          out(tile, level, 0, j, i) = mass;
          out(tile, level, 1, j, i) = sqrt_g_phi * u.alpha + growth * now(tile, level, 1, j + kHalo, i + kHalo);
          out(tile, level, 2, j, i) = sqrt_g_phi * u.beta + growth * now(tile, level, 2, j + kHalo, i + kHalo);
        }
      }
  }
  Kokkos::deep_copy(forcing, out);
  return forcing;
}

}  // namespace tramontane
