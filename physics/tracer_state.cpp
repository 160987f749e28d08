#include "physics/tracer_state.hpp"

#include "physics/diagnostics.hpp"
#include "physics/gauss_quadrature.hpp"

namespace tramontane {

namespace {

struct Weighted {
  double value = 0, weight = 0;
};
Weighted operator+(Weighted l, Weighted r) {
  return {l.value + r.value, l.weight + r.weight};
}
Weighted operator*(double s, Weighted w) {
  return {s * w.value, s * w.weight};
}

/// f(tile, j, i, flat index) over the owned cells.
template <class Function>
void for_owned(const Grid& grid, const Function& f) {
  const int size = grid.tile_cells();
  std::size_t k = 0;
  for (int tile = 0; tile < grid.tile_count(); ++tile)
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i, ++k) f(tile, j, i, k);
}

std::function<double(Vector3)> tracer_at(const AnalyticCase& c, double time) {
  return [&c, time](Vector3 r) { return c.tracer(r, time); };
}

std::function<double(Vector3)> depth_at(const AnalyticCase& c, double time) {
  return [&c, time](Vector3 r) { return c.state(r, time).depth; };
}

}  // namespace

std::vector<double> mass_weighted_means(const Grid& grid, const std::function<double(Vector3)>& q,
                                        const std::function<double(Vector3)>& depth) {
  std::vector<double> out(static_cast<std::size_t>(grid.tile_count()) * grid.tiling().cells_per_tile());
  const int size = grid.tile_cells();
  for_owned(grid, [&](int tile, int j, int i, std::size_t k) {
    const TilePlace place = grid.tiling().place(grid.first_tile() + tile);
    const Weighted mean = cell_quadrature([&](double p, double r) {
      const PanelPoint at{place.panel, grid.angle(place.ti * size + i, p), grid.angle(place.tj * size + j, r)};
      const Vector3 here = to_cartesian(at);
      const double weight = metric_at(std::tan(at.alpha), std::tan(at.beta)).sqrt_g * depth(here);
      return Weighted{weight * q(here), weight};
    });
    out[k] = mean.value / mean.weight;
  });
  return out;
}

void set_tracer(const ShallowWater& solver, int tracer, const std::function<double(Vector3)>& q,
                const std::function<double(Vector3)>& depth, const State& state) {
  const std::vector<double> mean = mass_weighted_means(solver.grid(), q, depth);
  auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), state);
  const auto bottom = Kokkos::create_mirror_view_and_copy(HostSpace(), solver.bottom());
  for_owned(solver.grid(), [&](int tile, int j, int i, std::size_t k) {
    for (int level = 0; level < solver.levels(); ++level)
      host(tile, level, kPrognostic + tracer, j + kHalo, i + kHalo) =
          static_cast<Real>(mean[k] * (host(tile, level, 0, j + kHalo, i + kHalo) - bottom(tile, j, i)));
  });
  Kokkos::deep_copy(state, host);
}

void set_tracer(const ShallowWater& solver, int tracer, const AnalyticCase& tracer_case, const State& state,
                double time) {
  set_tracer(solver, tracer, tracer_at(tracer_case, time), depth_at(tracer_case, time), state);
}

std::vector<double> exact_tracer(const Grid& grid, const AnalyticCase& exact_case, double time) {
  return mass_weighted_means(grid, tracer_at(exact_case, time), depth_at(exact_case, time));
}

std::vector<double> tracer_means(const ShallowWater& solver, const State& state, int tracer, int level) {
  const Grid& grid = solver.grid();
  std::vector<double> out(static_cast<std::size_t>(grid.tile_count()) * grid.tiling().cells_per_tile());
  const auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), state);
  const auto bottom = Kokkos::create_mirror_view_and_copy(HostSpace(), solver.bottom());
  for_owned(grid, [&](int tile, int j, int i, std::size_t k) {
    out[k] = host(tile, level, kPrognostic + tracer, j + kHalo, i + kHalo) /
             (static_cast<double>(host(tile, level, 0, j + kHalo, i + kHalo)) - bottom(tile, j, i));
  });
  return out;
}

double tracer_content(const ShallowWater& solver, const State& state, int tracer, int level) {
  const Grid& grid = solver.grid();
  const auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), state);
  std::vector<double> per_tile(grid.tile_count(), 0.0);
  for_owned(grid, [&](int tile, int j, int i, std::size_t) {
    per_tile[tile] += host(tile, level, kPrognostic + tracer, j + kHalo, i + kHalo);
  });
  const double cell = grid.radius() * grid.spacing();
  return sum_over_tiles(grid.tiling(), solver.comm(), per_tile, 1)[0] * cell * cell / solver.gravity();
}

}  // namespace tramontane
