#include "physics/remap/smooth_interpolation.hpp"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "kernels/errors.hpp"
#include "physics/cubed_sphere.hpp"
#include "physics/elliptic/sphere_derivatives.hpp"

namespace tramontane {

namespace {

/// Weights of the cubic through positions -1, 0, 1, 2 at s in [0, 1].
void cubic_weights(double s, double (&w)[4]) {
  w[0] = -s * (s - 1) * (s - 2) / 6;
  w[1] = (s + 1) * (s - 1) * (s - 2) / 2;
  w[2] = -(s + 1) * s * (s - 2) / 2;
  w[3] = (s + 1) * s * (s - 1) / 6;
}

void require_even(const std::vector<double>& axis, double spacing, const char* name) {
  for (std::size_t k = 0; k < axis.size(); ++k)
    if (std::abs(axis[k] - axis[0] - static_cast<double>(k) * spacing) > 1e-3 * spacing)
      throw InputError(fmt::format(
          "the {} of a field to interpolate are not evenly spaced: remap it to a regular grid first", name));
}

}  // namespace

std::vector<double> interpolate_to_centres(const LatLonGrid& grid, const std::vector<double>& field, int n) {
  const int nlon = grid.nlon(), nlat = grid.nlat();
  if (nlon % 2 != 0)
    throw InputError(
        fmt::format("a grid of {} longitudes cannot be continued across the poles: give an even number", nlon));
  const double dlon = 360.0 / nlon, dlat = (grid.lat.back() - grid.lat.front()) / (nlat - 1);
  require_even(grid.lon, dlon, "longitudes");
  require_even(grid.lat, dlat, "latitudes");
  if (grid.lat.front() > -90 + 0.51 * dlat || grid.lat.back() < 90 - 0.51 * dlat)
    throw InputError("the latitudes of a field to interpolate do not reach the poles: give a global grid");
  // A row on the pole is its own mirror image, a row half a cell before it is its neighbour's.
  const int mirror = grid.lat.front() < -90 + 0.25 * dlat ? 0 : -1;

  auto value = [&](int j, int i) {
    if (j < 0) {
      j = mirror - j;
      i += nlon / 2;
    } else if (j >= nlat) {
      j = 2 * (nlat - 1) - mirror - j;
      i += nlon / 2;
    }
    return field[static_cast<std::size_t>(j) * nlon + ((i % nlon) + nlon) % nlon];
  };
  return sample_centres(n, [&](Vector3 r) {
    const LonLat p = to_lonlat(r);
    constexpr double degree = 180 / std::numbers::pi;
    const double x = (p.longitude * degree - grid.lon.front()) / dlon;
    const double y = (p.latitude * degree - grid.lat.front()) / dlat;
    const int i = static_cast<int>(std::floor(x)), j = static_cast<int>(std::floor(y));
    double wx[4], wy[4];
    cubic_weights(x - i, wx);
    cubic_weights(y - j, wy);
    double sum = 0;
    for (int b = 0; b < 4; ++b)
      for (int a = 0; a < 4; ++a) sum += wy[b] * wx[a] * value(j + b - 1, i + a - 1);
    return sum;
  });
}

}  // namespace tramontane
