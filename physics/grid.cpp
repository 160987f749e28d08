#include "physics/grid.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "physics/gauss_quadrature.hpp"

namespace tramontane {

namespace {

/// Copies a table filled on the host to the device.
template <class Device, class Fill>
void fill_table(Device& table, const Fill& fill) {
  auto host = Kokkos::create_mirror_view(table);
  fill(host);
  Kokkos::deep_copy(table, host);
}

/// Antiderivative along Y of sqrt_g G^aa at fixed X (and, arguments exchanged, along X of sqrt_g G^bb at fixed Y);
/// its negative mirror serves sqrt_g G^ab: alpha and beta are harmonic on the sphere, so their stream functions exist.
double harmonic_conjugate(double x, double y) {
  return std::asinh(y / std::sqrt(1.0 + x * x));
}

}  // namespace

Grid::Grid(const Tiling& tiling, int rank, double radius, int order)
    : tiling_(tiling),
      rank_(rank),
      radius_(radius),
      spacing_(2 * kQuarterPi / tiling.n),
      half_spacing_(kQuarterPi / tiling.n),
      order_(order) {
  if (order != 3 && order != 5 && order != 7)
    throw InputError(fmt::format("physics.reconstruction = {} is not built: choose 3, 5 or 7", order));
  if (tiling.n < 8)
    throw InputError(fmt::format("a panel of {} cells is too small for the stencil: use at least 8", tiling.n));
  if (tiling.tile_cells() < 4)
    throw InputError(fmt::format("tiles of {0} x {0} cells are too small for the stencil: lower grid.tiles_per_edge",
                                 tiling.tile_cells()));
  tabulate_mean_sqrt_g();
  with_order(order, [this](auto chosen) {
    tabulate_faces<chosen()>();
    tabulate_volume_points<chosen()>();
  });
}

std::vector<double> Grid::cell_areas() const {
  std::vector<double> areas(tiling_.cell_count());
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = 0; j < n(); ++j)
      for (int i = 0; i < n(); ++i) areas[tiling_.global_offset({panel, j, i})] = cell_area(j, i);
  return areas;
}

void Grid::tabulate_mean_sqrt_g() {
  const int extent = n() + 2 * kHalo;
  mean_sqrt_g_ = View<Real**>("mean sqrt_g", extent, extent);
  mean_sqrt_g_host_ = HostView<double**>("mean sqrt_g, host", extent, extent);
  const auto mean = [this](int j, int i) {
    const bool inside = j >= 0 && j < n() && i >= 0 && i < n();
    return inside ? cell_solid_angle(edge_angle(i), edge_angle(i + 1), edge_angle(j), edge_angle(j + 1)) /
                        (spacing_ * spacing_)
                  : cell_quadrature([&](double p, double q) {
                      return metric_at(std::tan(angle(i, p)), std::tan(angle(j, q))).sqrt_g;
                    });
  };
  // One octant serves all: areas are small differences of large numbers, and ghost cells take the weights of one side
  // for all sides, so that mirrored cells must have the same bits for a constant to stay one.
  for (int j = -kHalo; j < n() + kHalo; ++j)
    for (int i = -kHalo; i < n() + kHalo; ++i) {
      const int up = std::max(j, n() - 1 - j), right = std::max(i, n() - 1 - i);
      mean_sqrt_g_host_(j + kHalo, i + kHalo) = mean(std::max(up, right), std::min(up, right));
    }
  fill_table(mean_sqrt_g_, [&](auto& host) {
    for (int j = 0; j < extent; ++j)
      for (int i = 0; i < extent; ++i) host(j, i) = static_cast<Real>(mean_sqrt_g_host_(j, i));
  });
}

template <int Order>
void Grid::tabulate_faces() {
  // The very operations that reconstruct the state, so that a constant comes out constant to the last digits.
  const Reconstruction<Order, double> w;
  constexpr int reach = Order / 2;
  for (const bool across_alpha : {true, false}) {
    FaceMetric& face = across_alpha ? alpha_faces_ : beta_faces_;
    const int rows = across_alpha ? n() : n() + 1, columns = across_alpha ? n() + 1 : n();
    for (View<Real***>* table : {&face.inverse_left, &face.inverse_right, &face.inverse_delta})
      *table = View<Real***>("face metric", kGaussPoints, rows, padded_row(columns));
    for (View<Real**>* table : {&face.shift_n, &face.shift_t})
      *table = View<Real**>("face metric", rows, padded_row(columns));
    auto left = Kokkos::create_mirror_view(face.inverse_left), right = Kokkos::create_mirror_view(face.inverse_right),
         inverse_delta = Kokkos::create_mirror_view(face.inverse_delta);
    auto shift_n = Kokkos::create_mirror_view(face.shift_n), shift_t = Kokkos::create_mirror_view(face.shift_t);

    for (int row = 0; row < rows; ++row)
      for (int column = 0; column < columns; ++column) {
        const int normal = across_alpha ? column : row;  // face number across
        const int along = across_alpha ? row : column;   // cell number along the face
        // Mean sqrt_g at distance `across` cells from the face, averaged over cell `along + shift`.
        auto mean = [&](int across, int shift) {
          return across_alpha ? mean_sqrt_g(along + shift, normal + across)
                              : mean_sqrt_g(normal + across, along + shift);
        };
        const double x = std::tan(edge_angle(normal));
        double sum_n = 0.0, sum_t = 0.0;
        for (int g = 0; g < kGaussPoints; ++g) {
          const auto line = [&](int across) {
            const auto points = w.values([&](int k) { return mean(across - reach - 1, k - reach); });
            return g == 0 ? points.first : points.second;
          };
          const auto sides = w.sides(line);
          left(g, row, column) = static_cast<Real>(1.0 / sides.left);
          right(g, row, column) = static_cast<Real>(1.0 / sides.right);
          const double y = std::tan(angle(along, kGaussNode[g]));
          const double one_over_delta = 1.0 / std::sqrt(1.0 + x * x + y * y);
          inverse_delta(g, row, column) = static_cast<Real>(one_over_delta);
          sum_n += (1.0 + y * y) * one_over_delta / kGaussPoints;
          sum_t += x * y * one_over_delta / kGaussPoints;
        }
        // Make a constant pressure exactly free of force: the face sums become differences of vertex values.
        const double y0 = std::tan(edge_angle(along)), y1 = std::tan(edge_angle(along + 1));
        const double exact_n = (harmonic_conjugate(x, y1) - harmonic_conjugate(x, y0)) / spacing_;
        const double exact_t = (harmonic_conjugate(y1, x) - harmonic_conjugate(y0, x)) / spacing_;
        shift_n(row, column) = static_cast<Real>(exact_n - sum_n);
        shift_t(row, column) = static_cast<Real>(-exact_t - sum_t);
      }
    Kokkos::deep_copy(face.inverse_left, left);
    Kokkos::deep_copy(face.inverse_right, right);
    Kokkos::deep_copy(face.inverse_delta, inverse_delta);
    Kokkos::deep_copy(face.shift_n, shift_n);
    Kokkos::deep_copy(face.shift_t, shift_t);
  }
}

template <int Order>
void Grid::tabulate_volume_points() {
  const Reconstruction<Order, double> w;
  constexpr int reach = Order / 2;
  for (View<Real***>* table : {&volume_.inverse_value, &volume_.slope_a, &volume_.slope_b, &volume_.inverse_delta})
    *table = View<Real***>("volume metric", kGaussPoints * kGaussPoints, n(), n());
  auto inverse = Kokkos::create_mirror_view(volume_.inverse_value), alpha = Kokkos::create_mirror_view(volume_.slope_a),
       beta = Kokkos::create_mirror_view(volume_.slope_b),
       inverse_delta = Kokkos::create_mirror_view(volume_.inverse_delta);
  for (int q = 0; q < kGaussPoints; ++q)
    for (int p = 0; p < kGaussPoints; ++p)
      for (int j = 0; j < n(); ++j)
        for (int i = 0; i < n(); ++i) {
          const auto pick = [](const auto& points, int which) { return which == 0 ? points.first : points.second; };
          const auto column = [&](int k) {
            return [&, k](int l) { return mean_sqrt_g(j + l - reach, i + k - reach); };
          };
          const auto value_line = [&](int k) { return pick(w.values(column(k)), q); };
          const auto slope_line = [&](int k) { return pick(w.slopes(column(k)), q); };
          const double v = pick(w.values(value_line), p), a = pick(w.slopes(value_line), p);
          const double b = pick(w.values(slope_line), p);
          const int point = kGaussPoints * q + p;
          const double x = std::tan(angle(i, kGaussNode[p])), y = std::tan(angle(j, kGaussNode[q]));
          inverse(point, j, i) = static_cast<Real>(1.0 / v);
          alpha(point, j, i) = static_cast<Real>(a / (v * spacing_));
          beta(point, j, i) = static_cast<Real>(b / (v * spacing_));
          inverse_delta(point, j, i) = static_cast<Real>(1.0 / std::sqrt(1.0 + x * x + y * y));
        }
  Kokkos::deep_copy(volume_.inverse_value, inverse);
  Kokkos::deep_copy(volume_.slope_a, alpha);
  Kokkos::deep_copy(volume_.slope_b, beta);
  Kokkos::deep_copy(volume_.inverse_delta, inverse_delta);

  gauss_tangent_ = View<Real**>("tan of the Gauss angles", kGaussPoints, n());
  fill_table(gauss_tangent_, [&](auto& host) {
    for (int g = 0; g < kGaussPoints; ++g)
      for (int k = 0; k < n(); ++k) host(g, k) = static_cast<Real>(std::tan(angle(k, kGaussNode[g])));
  });
  edge_tangent_ = View<Real*>("tan of the edge angles", n() + 1);
  fill_table(edge_tangent_, [&](auto& host) {
    for (int k = 0; k <= n(); ++k) host(k) = static_cast<Real>(std::tan(edge_angle(k)));
  });
}

}  // namespace tramontane
