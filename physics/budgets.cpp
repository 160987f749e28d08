// Global integrals over the reconstruction of a state, and the vorticity that they need.
#include "physics/diagnostics.hpp"
#include "physics/gauss_lines.hpp"
#include "physics/vorticity.hpp"

namespace tramontane {

namespace {

constexpr int kPoints = 3;  // Gauss points along a cell: exact to degree five, the degree that quartics of means reach
enum Quantity { kMass, kEnergy, kEnstrophy, kAngularMomentum, kQuantities };

/// Weights of five means for the values at the points of a cell.
struct PointWeights {
  double value[kPoints][kStencil];
  double node[kPoints], weight[kPoints];
};

PointWeights point_weights() {
  PointWeights w{};
  const double node[kPoints] = {-0.38729833462074168852, 0.0, 0.38729833462074168852};  // in cells, +- sqrt(15) / 10
  const double weight[kPoints] = {5.0 / 18.0, 8.0 / 18.0, 5.0 / 18.0};
  for (int p = 0; p < kPoints; ++p) {
    const auto value = average_weights(kStencilReach + 0.5 + node[p]);
    for (int k = 0; k < kStencil; ++k) w.value[p][k] = value[k];
    w.node[p] = node[p];
    w.weight[p] = weight[p];
  }
  return w;
}

/// A vector in each owned tile's panel frame (ex, ey, centre).
View<double**> in_panel_frames(const Grid& grid, Vector3 v) {
  View<double**> out("vector in panel frames", grid.tile_count(), 3);
  auto host = Kokkos::create_mirror_view(out);
  for (int tile = 0; tile < grid.tile_count(); ++tile) {
    const PanelAxes axes = panel_axes(grid.tiling().place(grid.first_tile() + tile).panel);
    host(tile, 0) = dot(v, axes.ex);
    host(tile, 1) = dot(v, axes.ey);
    host(tile, 2) = dot(v, axes.centre);
  }
  Kokkos::deep_copy(out, host);
  return out;
}

/// sqrt_g-weighted vorticity in variable 0 of an array like the state, ghost cells filled: vorticity is a scalar as E
/// is.
State ghosted_vorticity(ShallowWater& solver, const State& state) {
  const Grid& grid = solver.grid();
  VorticityDivergence curl(solver.shared_grid(), solver.levels());
  solver.fill_ghosts(state);
  curl.compute(state, solver.ghosted_bottom());
  State out = solver.make_state("vorticity");
  const auto vorticity = curl.vorticity();
  const int size = grid.tile_cells(), levels = solver.levels();
  Kokkos::parallel_for(
      "copy vorticity", Kokkos::RangePolicy<ExecutionSpace>(0, grid.tile_count() * levels * size * size),
      KOKKOS_LAMBDA(int flat) {
        const int i = flat % size, j = flat / size % size, level = flat / (size * size) % levels,
                  tile = flat / (size * size * levels);
        out(tile, level, 0, j + kHalo, i + kHalo) = vorticity(tile, level, j, i);
      });
  solver.fill_ghosts(out);
  return out;
}

/// Integrals over each cell, per squared radius, (tile, quantity, j, i).
View<double****> cell_integrals(const ShallowWater& solver, const State& state, const State& vorticity, int level) {
  const Grid& grid = solver.grid();
  const int tiles = grid.tile_count(), size = grid.tile_cells();
  const double gravity = solver.gravity(), reference = solver.reference(), radius = grid.radius();
  const double cell_angle = grid.spacing() * grid.spacing();
  const double turn = length(solver.rotation());
  const Vector3 axis = turn > 0 ? (1.0 / turn) * solver.rotation() : Vector3{0.0, 0.0, 1.0};
  const auto axes = in_panel_frames(grid, axis);
  const auto bottom = solver.ghosted_bottom();
  const auto mean_sqrt_g = grid.mean_sqrt_g_table();
  const TilePosition origin(grid);
  const PointWeights w = point_weights();
  const double spacing = grid.spacing(), west = grid.angle(0);
  View<double****> out("cell integrals", tiles, kQuantities, size, size);
  Kokkos::parallel_for(
      "cell integrals", Kokkos::RangePolicy<ExecutionSpace>(0, tiles * size * size), KOKKOS_LAMBDA(int flat) {
        const int i = flat % size, j = flat / size % size, tile = flat / (size * size);
        const int row = origin.row(tile) + j, column = origin.column(tile) + i;
        const double nx = axes(tile, 0), ny = axes(tile, 1), nz = axes(tile, 2);
        double energy = 0.0, enstrophy = 0.0, momentum = 0.0;
        for (int q = 0; q < kPoints; ++q) {
          // Means along alpha on this line of beta: E, bottom, momenta, vorticity, sqrt_g.
          double line[6][kStencil] = {};
          for (int k = 0; k < kStencil; ++k)
            for (int l = 0; l < kStencil; ++l) {
              const double weight = w.value[q][l];
              const int b = j + l + kHalo - kStencilReach, a = i + k + kHalo - kStencilReach;
              line[0][k] += weight * state(tile, level, 0, b, a);
              line[1][k] += weight * bottom(tile, b, a);
              line[2][k] += weight * state(tile, level, 1, b, a);
              line[3][k] += weight * state(tile, level, 2, b, a);
              line[4][k] += weight * vorticity(tile, level, 0, b, a);
              line[5][k] += weight * mean_sqrt_g(row + l + kHalo - kStencilReach, column + k + kHalo - kStencilReach);
            }
          const double y = std::tan(west + (row + w.node[q]) * spacing), yy = 1.0 + y * y;
          for (int p = 0; p < kPoints; ++p) {
            double at[6] = {};
            for (int f = 0; f < 6; ++f)
              for (int k = 0; k < kStencil; ++k) at[f] += w.value[p][k] * line[f][k];
            const double x = std::tan(west + (column + w.node[p]) * spacing), xx = 1.0 + x * x;
            const double d2 = xx + y * y, d = std::sqrt(d2), common = xx * yy / (d2 * d2);
            const double weight = w.weight[p] * w.weight[q] * common * d;  // times sqrt_g
            const double mass = at[0] - at[1];
            const double phi = mass / at[5], phi_s = at[1] / at[5] + reference;
            const double ua = at[2] / mass, ub = at[3] / mass;
            const double speed2 = common * (xx * ua * ua - 2.0 * x * y * ua * ub + yy * ub * ub);
            energy += weight * phi * (0.5 * speed2 + 0.5 * phi + phi_s);
            // In the panel's frame r = (x, y, 1) / d and the basis is (xx / d) (e_x - r r_x), (yy / d) (e_y - r r_y).
            const double along = (nx * x + ny * y + nz) / d;  // n . r
            const double absolute = at[4] / at[5] + 2.0 * turn * along;
            enstrophy += weight * 0.5 * absolute * absolute / phi;
            const double cross_x = (ny - nz * y) / d, cross_y = (nz * x - nx) / d;  // n x r
            const double zonal = (xx * cross_x * ua + yy * cross_y * ub) / d;
            momentum += weight * phi * (zonal + turn * radius * (1.0 - along * along));
          }
        }
        out(tile, kMass, j, i) =
            cell_angle *
            (static_cast<double>(state(tile, level, 0, j + kHalo, i + kHalo)) - bottom(tile, j + kHalo, i + kHalo)) /
            gravity;
        out(tile, kEnergy, j, i) = cell_angle * energy / gravity;
        out(tile, kEnstrophy, j, i) = cell_angle * gravity * enstrophy;
        out(tile, kAngularMomentum, j, i) = cell_angle * radius * momentum / gravity;
      });
  return out;
}

}  // namespace

Budgets budgets(ShallowWater& solver, const State& state, int level) {
  const Grid& grid = solver.grid();
  const int size = grid.tile_cells();
  const State vorticity = ghosted_vorticity(solver, state);
  const auto cells = Kokkos::create_mirror_view_and_copy(HostSpace(), cell_integrals(solver, state, vorticity, level));
  std::vector<double> per_tile(static_cast<std::size_t>(grid.tile_count()) * kQuantities);
  for (int tile = 0; tile < grid.tile_count(); ++tile)
    for (int q = 0; q < kQuantities; ++q) {
      CompensatedSum sum;
      for (int j = 0; j < size; ++j)
        for (int i = 0; i < size; ++i) sum.add(cells(tile, q, j, i));
      per_tile[static_cast<std::size_t>(tile) * kQuantities + q] = sum.value();
    }
  std::vector<double> sums = sum_over_tiles(grid.tiling(), solver.comm(), per_tile, kQuantities);
  for (double& sum : sums) sum *= grid.radius() * grid.radius();
  return {sums[kMass], sums[kEnergy], sums[kEnstrophy], sums[kAngularMomentum]};
}

std::vector<double> relative_vorticity(ShallowWater& solver, const State& state, int level) {
  const Grid& grid = solver.grid();
  const int size = grid.tile_cells();
  VorticityDivergence curl(solver.shared_grid(), solver.levels());
  solver.fill_ghosts(state);
  curl.compute(state, solver.ghosted_bottom());
  const auto weighted = Kokkos::create_mirror_view_and_copy(HostSpace(), curl.vorticity());
  std::vector<double> out(static_cast<std::size_t>(grid.tile_count()) * size * size);
  std::size_t k = 0;
  for (int tile = 0; tile < grid.tile_count(); ++tile) {
    const TilePlace place = grid.tiling().place(grid.first_tile() + tile);
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i, ++k)
        out[k] = weighted(tile, level, j, i) / grid.mean_sqrt_g(place.tj * size + j, place.ti * size + i);
  }
  return out;
}

}  // namespace tramontane
