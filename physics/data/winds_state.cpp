#include "physics/data/winds_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/errors.hpp"
#include "physics/data/orography.hpp"
#include "physics/elliptic/balance.hpp"
#include "physics/elliptic/elliptic_solver.hpp"
#include "physics/remap/smooth_interpolation.hpp"

namespace tramontane {

namespace {

void check_options(const WindsOptions& o) {
  auto require = [](bool fine, const char* sentence) {
    if (!fine) throw InputError(sentence);
  };
  require(o.layer_factor > 0,
          "the layer factor of the winds state must be positive: 2 to 4 gives jets of 25 to 50 m/s");
  require(o.mean_depth > 0, "the mean depth of the winds state must be positive: choose metres, such as 8000");
  require(o.smoothing_length >= 0, "the smoothing length of the winds state must be 0 or more metres");
}

/// Replaces the row of centres on a pole, if there is one, by the rule of wind_at_centres. `inward` is the step in row
/// number away from the pole. The mean of a smooth function over a circle around the pole is even in its radius, so
/// (4 M(1 row) - M(2 rows)) / 3 is the value at the pole to fourth order.
void mend_pole_row(const LatLonGrid& grid, int row, int inward, VectorField& v) {
  const int nlon = grid.nlon();
  if (std::abs(grid.lat[row]) < 90 - 1e-6 || grid.nlat() < 5) return;
  for (int m = 0; m < 3; ++m) {
    double pole = 0;
    for (int i = 0; i < nlon; ++i)
      pole += (4 * v[m][(row + inward) * nlon + i] - v[m][(row + 2 * inward) * nlon + i]) / (3 * nlon);
    for (int i = 0; i < nlon; ++i) v[m][row * nlon + i] = m == 2 ? 0 : pole;
  }
}

}  // namespace

VectorField wind_at_centres(const LatLonGrid& grid, const std::vector<double>& eastward,
                            const std::vector<double>& northward, int n) {
  constexpr double radian = std::numbers::pi / 180;
  VectorField v;
  for (int j = 0; j < grid.nlat(); ++j)
    for (int i = 0; i < grid.nlon(); ++i) {
      const Vector3 r = to_cartesian(LonLat{grid.lon[i] * radian, grid.lat[j] * radian});
      const std::size_t k = static_cast<std::size_t>(j) * grid.nlon() + i;
      const Vector3 wind = eastward[k] * east_vector(r) + northward[k] * north_vector(r);
      v[0].push_back(wind.x);
      v[1].push_back(wind.y);
      v[2].push_back(wind.z);
    }
  mend_pole_row(grid, 0, 1, v);
  mend_pole_row(grid, grid.nlat() - 1, -1, v);
  return {interpolate_to_centres(grid, v[0], n), interpolate_to_centres(grid, v[1], n),
          interpolate_to_centres(grid, v[2], n)};
}

WindsState make_winds_state(const WindsOptions& options, int n) {
  check_options(options);
  const GriddedFile winds_file(options.winds_path), relief_file(options.relief_path);
  const GriddedField east = winds_file.read(options.eastward, winds_file.month_step(options.eastward, options.month));
  const GriddedField north =
      winds_file.read(options.northward, winds_file.month_step(options.northward, options.month));
  const GriddedField relief = relief_file.read(options.relief);
  if (east.values.size() != north.values.size())
    throw InputError(fmt::format("{} and {} of {} lie on different grids: choose the two components of one wind",
                                 options.eastward, options.northward, options.winds_path.string()));

  WindsState state;
  state.n = n;
  state.filled_values = east.filled + north.filled + relief.filled;
  state.orography = make_orography(relief, n, options.orography_passes);

  const double cell = 2 * kQuarterPi * kEarthRadius / n;
  state.stream_function = diffuse(stream_function(wind_at_centres(east.grid, east.values, north.values, n), n), n,
                                  std::max(options.smoothing_length, cell));
  for (double& psi : state.stream_function) psi *= options.layer_factor;
  state.velocity = SphereDerivatives(n).rotational_wind(state.stream_function);
  state.total_height = balanced_height(state.stream_function, n, options.mean_depth + area_mean(state.orography, n));

  double shallowest = state.total_height[0] - state.orography[0];
  for (std::size_t c = 0; c < state.orography.size(); ++c)
    shallowest = std::min(shallowest, state.total_height[c] - state.orography[c]);
  if (shallowest < options.min_depth)
    throw InputError(
        fmt::format("the winds state of {} is only {:.0f} m deep over its highest ground, less than {:.0f} m: "
                    "raise the mean depth or lower the layer factor",
                    options.month, shallowest, options.min_depth));
  return state;
}

}  // namespace tramontane
