#include "physics/integrators/gravity_waves.hpp"

#include "physics/shallow_water_rows.hpp"

namespace tramontane {

namespace {

using Table = const Real* __restrict__;

/// Cells to either side of a face that its value rests on.
constexpr int kReach = 3;
static_assert(kHalo >= kReach);

/// Sixth-order value at a face from the means of three cells on either side.
template <class T>
KOKKOS_INLINE_FUNCTION T centred_face_value(T a, T b, T c, T d, T e, T f) {
  return ((a + f) - 8 * (b + e) + 37 * (c + d)) * (T(1) / T(60));
}

/// The difference of two neighbouring face values.
KOKKOS_INLINE_FUNCTION double centred_difference(double a, double b, double c, double e, double f, double g) {
  return (45.0 * (e - c) - 9.0 * (f - b) + (g - a)) * (1.0 / 60.0);
}

}  // namespace

GravityWaves::GravityWaves(const ShallowWater& solver) : grid_(solver.shared_grid()), levels_(solver.levels()) {
  const int n = grid_->n(), size = grid_->tile_cells();
  phi_ = View<Real****>("frozen geopotential", grid_->tile_count(), levels_, size, size);
  for (const bool across_alpha : {true, false}) {
    const FaceMetric& face = across_alpha ? grid_->alpha_faces() : grid_->beta_faces();
    const int rows = across_alpha ? n : n + 1, columns = across_alpha ? n + 1 : n;
    View<Real**> normal("linear pressure, normal", rows, columns),
        tangential("linear pressure, along", rows, columns);
    auto normal_host = Kokkos::create_mirror_view(normal), tangential_host = Kokkos::create_mirror_view(tangential);
    const auto inverse_delta = Kokkos::create_mirror_view_and_copy(HostSpace(), face.inverse_delta);
    const auto shift_n = Kokkos::create_mirror_view_and_copy(HostSpace(), face.shift_n),
               shift_t = Kokkos::create_mirror_view_and_copy(HostSpace(), face.shift_t);
    for (int row = 0; row < rows; ++row)
      for (int column = 0; column < columns; ++column) {
        auto mean = [&](int across) {
          return across_alpha ? grid_->mean_sqrt_g(row, column + across) : grid_->mean_sqrt_g(row + across, column);
        };
        const double sqrt_g = centred_face_value(mean(-3), mean(-2), mean(-1), mean(0), mean(1), mean(2));
        const int along = across_alpha ? row : column;
        const double x = std::tan(grid_->edge_angle(across_alpha ? column : row));
        double pressure_n = shift_n(row, column), pressure_t = shift_t(row, column);
        for (int g = 0; g < kGaussPoints; ++g) {
          const double y = std::tan(grid_->angle(along, kGaussNode[g]));
          pressure_n += 0.5 * (1.0 + y * y) * inverse_delta(g, row, column);
          pressure_t += 0.5 * x * y * inverse_delta(g, row, column);
        }
        normal_host(row, column) = pressure_n / sqrt_g;
        tangential_host(row, column) = pressure_t / sqrt_g;
      }
    Kokkos::deep_copy(normal, normal_host);
    Kokkos::deep_copy(tangential, tangential_host);
    (across_alpha ? alpha_normal_ : beta_normal_) = normal;
    (across_alpha ? alpha_tangential_ : beta_tangential_) = tangential;
  }
}

void GravityWaves::freeze(const ShallowWater& solver, const State& state) {
  const int tiles = grid_->tile_count(), levels = levels_, size = grid_->tile_cells();
  const auto bottom = solver.bottom();
  const auto mean_sqrt_g = grid_->mean_sqrt_g_table();
  const auto tangent = grid_->gauss_tangent();
  const auto frozen = phi_;
  const TileOrigin origin(*grid_);
  constexpr double largest_wave_number = 1.5861;
  const double scale = largest_wave_number / (grid_->radius() * grid_->spacing());
  double largest = 0.0;
  Kokkos::parallel_reduce(
      "freeze depth", Kokkos::RangePolicy<ExecutionSpace>(0, tiles * levels * size * size),
      KOKKOS_LAMBDA(int flat, double& most) {
        const int i = flat % size, j = flat / size % size, level = flat / (size * size) % levels,
                  tile = flat / (size * size * levels);
        const int row = origin.row(tile) + j, column = origin.column(tile) + i;
        const double phi = (state(tile, level, 0, j + kHalo, i + kHalo) - bottom(tile, j, i)) /
                           mean_sqrt_g(row + kHalo, column + kHalo);
        frozen(tile, level, j, i) = phi;
        const Metric m =
            metric_at(0.5 * (tangent(0, column) + tangent(1, column)), 0.5 * (tangent(0, row) + tangent(1, row)));
        const double square = phi * (m.h_aa + m.h_bb + 2.0 * std::abs(m.h_ab)) * scale * scale;
        if (square > most) most = square;
      },
      Kokkos::Max<double>(largest));
  MPI_Allreduce(MPI_IN_PLACE, &largest, 1, MPI_DOUBLE, MPI_MAX, solver.comm());
  largest_square_ = largest;
}

void GravityWaves::pressure_force(const State& out, double a, const State& base, double c, const State& state) const {
  const int levels = levels_, size = grid_->tile_cells();
  const auto phi = phi_;
  const auto alpha_normal = alpha_normal_, alpha_tangential = alpha_tangential_, beta_normal = beta_normal_,
             beta_tangential = beta_tangential_;
  const TileOrigin origin(*grid_);
  const double scale = -c / (grid_->radius() * grid_->spacing());
  for_rows(
      "linear pressure force", grid_->tile_count() * levels * size, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * size), level = flat / size % levels, j = flat % size;
        const int row = origin.row(tile) + j, column = origin.column(tile);
        Row e0 = &state(tile, level, 0, j + kHalo - 3, kHalo), e1 = &state(tile, level, 0, j + kHalo - 2, kHalo),
            e2 = &state(tile, level, 0, j + kHalo - 1, kHalo), e3 = &state(tile, level, 0, j + kHalo, kHalo - 3),
            e4 = &state(tile, level, 0, j + kHalo + 1, kHalo), e5 = &state(tile, level, 0, j + kHalo + 2, kHalo),
            e6 = &state(tile, level, 0, j + kHalo + 3, kHalo);
        Table an = &alpha_normal(row, column), at = &alpha_tangential(row, column), bn0 = &beta_normal(row, column),
              bn1 = &beta_normal(row + 1, column), bt0 = &beta_tangential(row, column),
              bt1 = &beta_tangential(row + 1, column);
        Table depth = &phi(tile, level, j, 0);
        // Plain pointers: out may be base.
        const Real *from_a = &base(tile, level, 1, j + kHalo, kHalo), *from_b = &base(tile, level, 2, j + kHalo, kHalo);
        Real *to_a = &out(tile, level, 1, j + kHalo, kHalo), *to_b = &out(tile, level, 2, j + kHalo, kHalo);
        simd_for(team, 0, size, [&](int i) {
          const double west = centred_face_value<double>(e3[i], e3[i + 1], e3[i + 2], e3[i + 3], e3[i + 4], e3[i + 5]);
          const double east =
              centred_face_value<double>(e3[i + 1], e3[i + 2], e3[i + 3], e3[i + 4], e3[i + 5], e3[i + 6]);
          const double south = centred_face_value<double>(e0[i], e1[i], e2[i], e3[i + 3], e4[i], e5[i]);
          const double north = centred_face_value<double>(e1[i], e2[i], e3[i + 3], e4[i], e5[i], e6[i]);
          const double factor = scale * depth[i];
          to_a[i] = a * from_a[i] + factor * ((an[i + 1] * east - an[i] * west) + (bt1[i] * north - bt0[i] * south));
          to_b[i] = a * from_b[i] + factor * ((at[i + 1] * east - at[i] * west) + (bn1[i] * north - bn0[i] * south));
        });
      });
}

void GravityWaves::divergence(const State& out, double a, const State& base, double c, const State& state) const {
  const int levels = levels_, size = grid_->tile_cells();
  const double scale = -c / (grid_->radius() * grid_->spacing());
  for_rows(
      "linear divergence", grid_->tile_count() * levels * size, KOKKOS_LAMBDA(const RowMember& team, int flat) {
        const int tile = flat / (levels * size), level = flat / size % levels, j = flat % size + kHalo;
        Row m = &state(tile, level, 1, j, kHalo - 3);
        Row b0 = &state(tile, level, 2, j - 3, kHalo), b1 = &state(tile, level, 2, j - 2, kHalo),
            b2 = &state(tile, level, 2, j - 1, kHalo), b4 = &state(tile, level, 2, j + 1, kHalo),
            b5 = &state(tile, level, 2, j + 2, kHalo), b6 = &state(tile, level, 2, j + 3, kHalo);
        const Real* from = &base(tile, level, 0, j, kHalo);
        Real* to = &out(tile, level, 0, j, kHalo);
        simd_for(team, 0, size, [&](int i) {
          to[i] = a * from[i] + scale * (centred_difference(m[i], m[i + 1], m[i + 2], m[i + 4], m[i + 5], m[i + 6]) +
                                         centred_difference(b0[i], b1[i], b2[i], b4[i], b5[i], b6[i]));
        });
      });
}

}  // namespace tramontane
