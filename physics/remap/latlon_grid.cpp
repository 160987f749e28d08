#include "physics/remap/latlon_grid.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/errors.hpp"

namespace tramontane {

LatLonGrid LatLonGrid::regular(double degrees) {
  const double rows = 180 / degrees;
  const long nlat = std::isfinite(rows) ? std::lround(rows) : 0;
  if (!(degrees > 0) || nlat < 2 || std::abs(rows - static_cast<double>(nlat)) > 1e-9 * rows)
    throw InputError(fmt::format(
        "a longitude-latitude grid of {} degrees does not divide 180 degrees: choose a divisor such as 1, 2.5 or 3",
        degrees));
  LatLonGrid grid;
  // Multiples of 180 / nlat rather than sums, and halves of integers: bounds and centres carry no drift.
  for (long k = 0; k <= 2 * nlat; ++k) grid.lon_bounds.push_back(180.0 * static_cast<double>(k) / nlat);
  for (long k = 0; k < 2 * nlat; ++k) grid.lon.push_back(180.0 * (static_cast<double>(k) + 0.5) / nlat);
  for (long k = 0; k <= nlat; ++k) grid.lat_bounds.push_back(90.0 * static_cast<double>(2 * k - nlat) / nlat);
  for (long k = 0; k < nlat; ++k) grid.lat.push_back(90.0 * static_cast<double>(2 * k + 1 - nlat) / nlat);
  return grid;
}

LatLonGrid LatLonGrid::from_centres(std::vector<double> lon, std::vector<double> lat) {
  auto ascends = [](const std::vector<double>& axis) {
    return axis.size() >= 2 && std::adjacent_find(axis.begin(), axis.end(), std::greater_equal<>()) == axis.end();
  };
  if (!ascends(lon) || lon.back() - lon.front() >= 360)
    throw InputError("the longitudes of a grid must be two or more, ascend and span less than 360 degrees");
  if (!ascends(lat) || lat.front() < -90 || lat.back() > 90)
    throw InputError("the latitudes of a grid must be two or more, ascend and stay within -90 and 90 degrees");
  LatLonGrid grid;
  grid.lon = std::move(lon);
  grid.lat = std::move(lat);
  grid.lon_bounds.push_back(0.5 * (grid.lon.back() - 360 + grid.lon.front()));
  for (int k = 1; k < grid.nlon(); ++k) grid.lon_bounds.push_back(0.5 * (grid.lon[k - 1] + grid.lon[k]));
  grid.lon_bounds.push_back(grid.lon_bounds.front() + 360);
  grid.lat_bounds.push_back(-90);
  for (int k = 1; k < grid.nlat(); ++k) grid.lat_bounds.push_back(0.5 * (grid.lat[k - 1] + grid.lat[k]));
  grid.lat_bounds.push_back(90);
  return grid;
}

std::vector<double> LatLonGrid::areas() const {
  constexpr double radian = std::numbers::pi / 180;
  std::vector<double> out;
  out.reserve(size());
  for (int j = 0; j < nlat(); ++j) {
    // sin(b) - sin(a) as a product: no cancellation near the poles.
    const double a = radian * lat_bounds[j], b = radian * lat_bounds[j + 1];
    const double height = 2 * std::sin(0.5 * (b - a)) * std::cos(0.5 * (a + b));
    for (int i = 0; i < nlon(); ++i) out.push_back(height * radian * (lon_bounds[i + 1] - lon_bounds[i]));
  }
  return out;
}

}  // namespace tramontane
