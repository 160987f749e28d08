#include "physics/grid.hpp"

#include <fmt/format.h>

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

Grid::Grid(const Tiling& tiling, int rank, double radius)
    : tiling_(tiling),
      rank_(rank),
      radius_(radius),
      spacing_(2 * kQuarterPi / tiling.n),
      half_spacing_(kQuarterPi / tiling.n) {
  if (tiling.n < 8)
    throw InputError(fmt::format("a panel of {} cells is too small for the stencil: use at least 8", tiling.n));
  if (tiling.tile_cells() < 4)
    throw InputError(fmt::format("tiles of {0} x {0} cells are too small for the stencil: lower grid.tiles_per_edge",
                                 tiling.tile_cells()));
  tabulate_mean_sqrt_g();
  tabulate_faces();
  tabulate_volume_points();
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
  mean_sqrt_g_ = View<double**>("mean sqrt_g", extent, extent);
  mean_sqrt_g_host_ = HostView<double**>("mean sqrt_g, host", extent, extent);
  for (int j = -kHalo; j < n() + kHalo; ++j)
    for (int i = -kHalo; i < n() + kHalo; ++i) {
      const bool inside = j >= 0 && j < n() && i >= 0 && i < n();
      mean_sqrt_g_host_(j + kHalo, i + kHalo) =
          inside ? cell_solid_angle(edge_angle(i), edge_angle(i + 1), edge_angle(j), edge_angle(j + 1)) /
                       (spacing_ * spacing_)
                 : cell_quadrature([&](double p, double q) {
                     return metric_at(std::tan(angle(i, p)), std::tan(angle(j, q))).sqrt_g;
                   });
    }
  fill_table(mean_sqrt_g_, [&](auto& host) {
    for (int j = 0; j < extent; ++j)
      for (int i = 0; i < extent; ++i) host(j, i) = mean_sqrt_g_host_(j, i);
  });
}

void Grid::tabulate_faces() {
  for (const bool across_alpha : {true, false}) {
    FaceMetric& face = across_alpha ? alpha_faces_ : beta_faces_;
    const int rows = across_alpha ? n() : n() + 1, columns = across_alpha ? n() + 1 : n();
    for (View<double***>* table :
         {&face.left, &face.right, &face.sqrt_g, &face.speed, &face.pressure_n, &face.pressure_t})
      *table = View<double***>("face metric", kGaussPoints, rows, columns);
    auto left = Kokkos::create_mirror_view(face.left), right = Kokkos::create_mirror_view(face.right),
         sqrt_g = Kokkos::create_mirror_view(face.sqrt_g), speed = Kokkos::create_mirror_view(face.speed),
         pressure_n = Kokkos::create_mirror_view(face.pressure_n),
         pressure_t = Kokkos::create_mirror_view(face.pressure_t);

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
          const auto weights = average_weights(kStencilReach + 0.5 + kGaussNode[g]);
          auto line = [&](int across) {
            double value = 0.0;
            for (int k = 0; k < kStencil; ++k) value += weights[k] * mean(across, k - kStencilReach);
            return value;
          };
          left(g, row, column) = face_value(line(-3), line(-2), line(-1), line(0), line(1));
          right(g, row, column) = face_value(line(2), line(1), line(0), line(-1), line(-2));
          const double y = std::tan(angle(along, kGaussNode[g]));
          const Metric m = across_alpha ? metric_at(x, y) : metric_at(y, x);
          sqrt_g(g, row, column) = m.sqrt_g;
          speed(g, row, column) = std::sqrt(across_alpha ? m.h_aa : m.h_bb);
          pressure_n(g, row, column) = m.sqrt_g * (across_alpha ? m.h_aa : m.h_bb);
          pressure_t(g, row, column) = m.sqrt_g * m.h_ab;
          sum_n += pressure_n(g, row, column) / kGaussPoints;
          sum_t += pressure_t(g, row, column) / kGaussPoints;
        }
        // Make a constant pressure exactly free of force: the face sums become differences of vertex values.
        const double y0 = std::tan(edge_angle(along)), y1 = std::tan(edge_angle(along + 1));
        const double exact_n = (harmonic_conjugate(x, y1) - harmonic_conjugate(x, y0)) / spacing_;
        const double exact_t = (harmonic_conjugate(y1, x) - harmonic_conjugate(y0, x)) / spacing_;
        for (int g = 0; g < kGaussPoints; ++g) {
          pressure_n(g, row, column) += exact_n - sum_n;
          pressure_t(g, row, column) -= exact_t + sum_t;
        }
      }
    Kokkos::deep_copy(face.left, left);
    Kokkos::deep_copy(face.right, right);
    Kokkos::deep_copy(face.sqrt_g, sqrt_g);
    Kokkos::deep_copy(face.speed, speed);
    Kokkos::deep_copy(face.pressure_n, pressure_n);
    Kokkos::deep_copy(face.pressure_t, pressure_t);
  }
}

void Grid::tabulate_volume_points() {
  for (View<double***>* table : {&volume_value_, &volume_alpha_, &volume_beta_})
    *table = View<double***>("volume metric", kGaussPoints * kGaussPoints, n(), n());
  auto value = Kokkos::create_mirror_view(volume_value_), alpha = Kokkos::create_mirror_view(volume_alpha_),
       beta = Kokkos::create_mirror_view(volume_beta_);
  for (int q = 0; q < kGaussPoints; ++q)
    for (int p = 0; p < kGaussPoints; ++p) {
      const double at_p = kStencilReach + 0.5 + kGaussNode[p], at_q = kStencilReach + 0.5 + kGaussNode[q];
      const auto wp = average_weights(at_p), wq = average_weights(at_q);
      const auto dp = average_weights(at_p, 1), dq = average_weights(at_q, 1);
      for (int j = 0; j < n(); ++j)
        for (int i = 0; i < n(); ++i) {
          double v = 0.0, a = 0.0, b = 0.0;
          for (int l = 0; l < kStencil; ++l)
            for (int k = 0; k < kStencil; ++k) {
              const double mean = mean_sqrt_g(j + l - kStencilReach, i + k - kStencilReach);
              v += wq[l] * wp[k] * mean;
              a += wq[l] * dp[k] * mean;
              b += dq[l] * wp[k] * mean;
            }
          const int point = kGaussPoints * q + p;
          value(point, j, i) = v;
          alpha(point, j, i) = a / spacing_;
          beta(point, j, i) = b / spacing_;
        }
    }
  Kokkos::deep_copy(volume_value_, value);
  Kokkos::deep_copy(volume_alpha_, alpha);
  Kokkos::deep_copy(volume_beta_, beta);

  gauss_tangent_ = View<double**>("tan of the Gauss angles", kGaussPoints, n());
  fill_table(gauss_tangent_, [&](auto& host) {
    for (int g = 0; g < kGaussPoints; ++g)
      for (int k = 0; k < n(); ++k) host(g, k) = std::tan(angle(k, kGaussNode[g]));
  });
}

}  // namespace tramontane
