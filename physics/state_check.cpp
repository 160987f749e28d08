#include "physics/state_check.hpp"

#include <cmath>

namespace tramontane {

namespace {

/// x - x is zero for every finite number and NaN for the others: no call, no branch.
template <class T>
KOKKOS_INLINE_FUNCTION int not_finite(T x) {
  return x - x == T(0) ? 0 : 1;
}

// On the host a thread takes whole rows, which the compiler vectorises; on a device a cell.
#if defined(TRAMONTANE_DEVICE_LAYOUT)
constexpr bool kWholeRows = false;
#else
constexpr bool kWholeRows = true;
#endif

}  // namespace

std::vector<std::string> variable_names(int count) {
  std::vector<std::string> names = {"E", "M_alpha", "M_beta"};
  for (int tracer = 0; tracer + 3 < count; ++tracer) names.push_back("tracer_" + std::to_string(tracer));
  return names;
}

long count_bad_cells(const ShallowWater& solver, const State& state) {
  const int tiles = static_cast<int>(state.extent(0)), levels = static_cast<int>(state.extent(1)),
            variables = static_cast<int>(state.extent(2)), size = solver.grid().tile_cells();
  const int cut = kWholeRows ? size : 1, pieces = size / cut;
  const auto bottom = solver.bottom();
  long bad = 0;
  Kokkos::parallel_reduce(
      "bad cells", Kokkos::RangePolicy<ExecutionSpace>(0, tiles * levels * size * pieces),
      KOKKOS_LAMBDA(int flat, long& sum) {
        const int begin = flat % pieces * cut, j = flat / pieces % size, level = flat / (pieces * size) % levels,
                  tile = flat / (pieces * size * levels);
        const auto* const e = &state(tile, level, 0, j + kHalo, kHalo);
        const auto* const ground = &bottom(tile, j, 0);
        int found = 0;
#pragma omp simd reduction(+ : found)
        for (int i = begin; i < begin + cut; ++i)
          found += not_finite(e[i]) + (static_cast<double>(e[i]) - ground[i] > 0.0 ? 0 : 1);
        for (int variable = 1; variable < variables; ++variable) {
          const auto* const value = &state(tile, level, variable, j + kHalo, kHalo);
#pragma omp simd reduction(+ : found)
          for (int i = begin; i < begin + cut; ++i) found += not_finite(value[i]);
        }
        sum += found;
      },
      bad);
  return bad;
}

std::vector<BadCell> bad_cells(const ShallowWater& solver, const State& state) {
  std::vector<BadCell> found;
  const Grid& grid = solver.grid();
  const int size = grid.tile_cells(), levels = static_cast<int>(state.extent(1)),
            variables = static_cast<int>(state.extent(2));
  const auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), state);
  const auto bottom = Kokkos::create_mirror_view_and_copy(HostSpace(), solver.bottom());
  const std::vector<std::string> names = variable_names(variables);
  for (int tile = 0; tile < grid.tile_count(); ++tile)
    for (int level = 0; level < levels; ++level)
      for (int j = 0; j < size; ++j)
        for (int i = 0; i < size; ++i) {
          const double sqrt_g_phi =
              static_cast<double>(host(tile, level, 0, j + kHalo, i + kHalo)) - bottom(tile, j, i);
          const TilePlace place = grid.tiling().place(grid.first_tile() + tile);
          const PanelCell cell{place.panel, place.tj * size + j, place.ti * size + i};
          int variable = -1;
          if (!(std::isfinite(sqrt_g_phi) && sqrt_g_phi > 0)) variable = 0;
          for (int k = 1; k < variables && variable < 0; ++k)
            if (!std::isfinite(static_cast<double>(host(tile, level, k, j + kHalo, i + kHalo)))) variable = k;
          if (variable < 0) continue;
          BadCell bad;
          bad.tile = grid.first_tile() + tile;
          bad.number = static_cast<long>(bad.tile) * size * size + static_cast<long>(j) * size + i;
          bad.level = level;
          bad.j = j;
          bad.i = i;
          const double value = host(tile, level, variable, j + kHalo, i + kHalo);
          switch (variable) {
            case 0:
              bad.field = "depth";
              bad.value = sqrt_g_phi / grid.mean_sqrt_g(cell.j, cell.i) / solver.gravity();
              break;
            case 1:
            case 2:
              bad.field = variable == 1 ? "velocity along alpha" : "velocity along beta";
              bad.value = value / sqrt_g_phi;
              break;
            default:
              bad.field = names[variable];
              bad.value = value;
          }
          bad.centre = to_cartesian(grid.centre(cell));
          found.push_back(bad);
        }
  return found;
}

}  // namespace tramontane
