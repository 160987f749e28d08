#include "physics/initial_state.hpp"

#include <algorithm>

#include "physics/gauss_quadrature.hpp"

namespace tramontane {

namespace {

/// E and contravariant momentum density at a point: what set_state averages.
struct Density {
  double e = 0, a = 0, b = 0;
};
Density operator+(Density l, Density r) {
  return {l.e + r.e, l.a + r.a, l.b + r.b};
}
Density operator*(double s, Density d) {
  return {s * d.e, s * d.a, s * d.b};
}

template <class Function>
void for_owned_cells(const Grid& grid, const Function& f) {
  const int size = grid.tile_cells();
  std::size_t k = 0;
  for (int tile = 0; tile < grid.tile_count(); ++tile) {
    const TilePlace place = grid.tiling().place(grid.first_tile() + tile);
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i, ++k)
        f(tile, j, i, PanelCell{place.panel, place.tj * size + j, place.ti * size + i}, k);
  }
}

}  // namespace

AnalyticCase williamson2(double alpha) {
  constexpr double geopotential = 2.94e4;
  const double speed = 2 * std::numbers::pi * kEarthRadius / (12 * 86400.0);
  const Vector3 axis{-std::sin(alpha), 0.0, std::cos(alpha)};  // of the flow and of the rotation
  AnalyticCase out;
  out.orography = [](Vector3) { return 0.0; };
  out.rotation = kEarthRotation * axis;
  out.state = [=](Vector3 r) {
    const double s = dot(axis, r);
    const double phi = geopotential - (kEarthRadius * kEarthRotation * speed + 0.5 * speed * speed) * s * s;
    return PointState{phi / kGravity, speed * cross(axis, r)};
  };
  out.reference_height = 2500.0;
  out.steady = true;
  return out;
}

AnalyticCase resting(double height, std::function<double(Vector3)> orography) {
  AnalyticCase out;
  out.orography = orography;
  out.state = [height, orography](Vector3 r) { return PointState{height - orography(r), {0, 0, 0}}; };
  out.reference_height = height;
  out.steady = true;
  return out;
}

double williamson5_mountain(Vector3 r) {
  constexpr double radius = std::numbers::pi / 9, top = 2000.0;
  const LonLat p = to_lonlat(r);
  const double dx = p.longitude - 1.5 * std::numbers::pi, dy = p.latitude - std::numbers::pi / 6;
  return top * (1.0 - std::min(radius, std::sqrt(dx * dx + dy * dy)) / radius);
}

std::vector<double> cell_means(const Grid& grid, const std::function<double(Vector3)>& f) {
  std::vector<double> out(static_cast<std::size_t>(grid.tile_count()) * grid.tiling().cells_per_tile());
  for_owned_cells(grid, [&](int, int, int, PanelCell c, std::size_t k) {
    out[k] = cell_quadrature([&](double p, double q) {
               const PanelPoint at{c.panel, grid.angle(c.i, p), grid.angle(c.j, q)};
               return metric_at(std::tan(at.alpha), std::tan(at.beta)).sqrt_g * f(to_cartesian(at));
             }) /
             grid.mean_sqrt_g(c.j, c.i);
  });
  return out;
}

void set_state(const ShallowWater& solver, const AnalyticCase& state_case, const State& state) {
  const Grid& grid = solver.grid();
  auto host = Kokkos::create_mirror_view(state);
  for_owned_cells(grid, [&](int tile, int j, int i, PanelCell c, std::size_t) {
    const Density mean = cell_quadrature([&](double p, double q) {
      const PanelPoint at{c.panel, grid.angle(c.i, p), grid.angle(c.j, q)};
      const Vector3 r = to_cartesian(at);
      const PointState s = state_case.state(r);
      const double weight = metric_at(std::tan(at.alpha), std::tan(at.beta)).sqrt_g;
      const Contravariant u = to_contravariant(s.velocity, at);
      const double phi = solver.gravity() * s.depth;
      const double eta = phi + solver.gravity() * state_case.orography(r) - solver.reference();
      return Density{weight * eta, weight * phi * u.alpha, weight * phi * u.beta};
    });
    for (int level = 0; level < solver.levels(); ++level) {
      host(tile, level, 0, j + kHalo, i + kHalo) = mean.e;
      host(tile, level, 1, j + kHalo, i + kHalo) = mean.a;
      host(tile, level, 2, j + kHalo, i + kHalo) = mean.b;
    }
  });
  Kokkos::deep_copy(state, host);
}

void set_state(const ShallowWater& solver, const CellFields& fields, const State& state) {
  const Grid& grid = solver.grid();
  auto host = Kokkos::create_mirror_view(state);
  for_owned_cells(grid, [&](int tile, int j, int i, PanelCell c, std::size_t k) {
    const double mean = grid.mean_sqrt_g(c.j, c.i), phi = solver.gravity() * fields.depth[k];
    const Contravariant u =
        to_contravariant({fields.velocity[0][k], fields.velocity[1][k], fields.velocity[2][k]}, grid.centre(c));
    for (int level = 0; level < solver.levels(); ++level) {
      host(tile, level, 0, j + kHalo, i + kHalo) =
          mean * (phi + (solver.gravity() * solver.orography()[k] - solver.reference()));
      host(tile, level, 1, j + kHalo, i + kHalo) = mean * phi * u.alpha;
      host(tile, level, 2, j + kHalo, i + kHalo) = mean * phi * u.beta;
    }
  });
  Kokkos::deep_copy(state, host);
}

CellFields cell_fields(const ShallowWater& solver, const State& state, int level) {
  const Grid& grid = solver.grid();
  const std::size_t cells = static_cast<std::size_t>(grid.tile_count()) * grid.tiling().cells_per_tile();
  CellFields out;
  out.depth.resize(cells);
  for (auto& component : out.velocity) component.resize(cells);
  auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), state);
  for_owned_cells(grid, [&](int tile, int j, int i, PanelCell c, std::size_t k) {
    const double mean = grid.mean_sqrt_g(c.j, c.i);
    const double e = host(tile, level, 0, j + kHalo, i + kHalo);
    const double phi = e / mean - (solver.gravity() * solver.orography()[k] - solver.reference());
    out.depth[k] = phi / solver.gravity();
    const double scale = 1.0 / (mean * phi);
    const Vector3 v = to_vector(
        {host(tile, level, 1, j + kHalo, i + kHalo) * scale, host(tile, level, 2, j + kHalo, i + kHalo) * scale},
        grid.centre(c));
    out.velocity[0][k] = v.x;
    out.velocity[1][k] = v.y;
    out.velocity[2][k] = v.z;
  });
  return out;
}

HorizontalWind horizontal_wind(const Grid& grid, const CellFields& fields) {
  HorizontalWind out;
  out.eastward.resize(fields.depth.size());
  out.northward.resize(fields.depth.size());
  for_owned_cells(grid, [&](int, int, int, PanelCell c, std::size_t k) {
    const Vector3 r = to_cartesian(grid.centre(c));
    const Vector3 v{fields.velocity[0][k], fields.velocity[1][k], fields.velocity[2][k]};
    out.eastward[k] = dot(v, east_vector(r));
    out.northward[k] = dot(v, north_vector(r));
  });
  return out;
}

}  // namespace tramontane
