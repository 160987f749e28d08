#include "physics/initial_state.hpp"

#include <algorithm>

#include "physics/cell_values.hpp"
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

/// Means over the panel angles of a cell: the prognostic variables of a case at a time.
Density mean_density(const ShallowWater& solver, const AnalyticCase& c, PanelCell cell, double time) {
  const Grid& grid = solver.grid();
  return cell_quadrature([&](double p, double q) {
    const PanelPoint at{cell.panel, grid.angle(cell.i, p), grid.angle(cell.j, q)};
    const Vector3 r = to_cartesian(at);
    const PointState s = c.state(r, time);
    const double weight = metric_at(std::tan(at.alpha), std::tan(at.beta)).sqrt_g;
    const Contravariant u = to_contravariant(s.velocity, at);
    const double phi = solver.gravity() * s.depth;
    const double eta = phi + solver.gravity() * c.orography(r) - solver.reference();
    return Density{weight * eta, weight * phi * u.alpha, weight * phi * u.beta};
  });
}

/// Depth and Cartesian velocity of a cell's means.
PointState from_means(const ShallowWater& solver, const Density& mean, PanelCell c, double orography) {
  const Grid& grid = solver.grid();
  const CellPlace place{grid.mean_sqrt_g(c.j, c.i), orography, basis_at(grid.centre(c))};
  const CellValues values = cell_values(mean.e, mean.a, mean.b, place, solver.gravity(), solver.reference());
  return {values.depth, values.velocity};
}

CellFields room_for_fields(const Grid& grid) {
  const std::size_t cells = static_cast<std::size_t>(grid.tile_count()) * grid.tiling().cells_per_tile();
  CellFields out;
  out.depth.resize(cells);
  for (auto& component : out.velocity) component.resize(cells);
  return out;
}

void put(CellFields& fields, std::size_t k, const PointState& value) {
  fields.depth[k] = value.depth;
  fields.velocity[0][k] = value.velocity.x;
  fields.velocity[1][k] = value.velocity.y;
  fields.velocity[2][k] = value.velocity.z;
}

}  // namespace

AnalyticCase tilted(const AnalyticCase& original, double alpha) {
  const double c = std::cos(alpha), s = std::sin(alpha);
  const auto to_grid = [c, s](Vector3 r) { return Vector3{c * r.x - s * r.z, r.y, s * r.x + c * r.z}; };
  const auto to_planet = [c, s](Vector3 r) { return Vector3{c * r.x + s * r.z, r.y, c * r.z - s * r.x}; };
  AnalyticCase out = original;
  out.orography = [=, f = original.orography](Vector3 r) { return f(to_planet(r)); };
  out.state = [=, f = original.state](Vector3 r, double time) {
    const PointState there = f(to_planet(r), time);
    return PointState{there.depth, to_grid(there.velocity)};
  };
  if (original.tracer) out.tracer = [=, f = original.tracer](Vector3 r, double time) { return f(to_planet(r), time); };
  out.rotation = to_grid(original.rotation);
  return out;
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

void set_state(const ShallowWater& solver, const AnalyticCase& state_case, const State& state, double time) {
  auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), state);
  for_owned_cells(solver.grid(), [&](int tile, int j, int i, PanelCell c, std::size_t) {
    const Density mean = mean_density(solver, state_case, c, time);
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
  CellFields out = room_for_fields(solver.grid());
  auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), state);
  for_owned_cells(solver.grid(), [&](int tile, int j, int i, PanelCell c, std::size_t k) {
    const auto mean = [&](int variable) -> double { return host(tile, level, variable, j + kHalo, i + kHalo); };
    put(out, k, from_means(solver, {mean(0), mean(1), mean(2)}, c, solver.orography()[k]));
  });
  return out;
}

CellFields exact_fields(const ShallowWater& solver, const AnalyticCase& exact_case, double time) {
  CellFields out = room_for_fields(solver.grid());
  for_owned_cells(solver.grid(), [&](int, int, int, PanelCell c, std::size_t k) {
    put(out, k, from_means(solver, mean_density(solver, exact_case, c, time), c, solver.orography()[k]));
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
