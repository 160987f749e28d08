#include <gtest/gtest.h>
#include <mpi.h>

#include "convergence.hpp"
#include "kernels/errors.hpp"
#include "physics/data/orography.hpp"
#include "physics/data/winds_state.hpp"
#include "physics/elliptic/balance.hpp"

namespace tramontane {
namespace {

using testing::relative_error;
using testing::sample_vectors;
using testing::smallest_slope;

double smallest(const std::vector<double>& a, const std::vector<double>& b) {
  double out = a[0] - b[0];
  for (std::size_t k = 0; k < a.size(); ++k) out = std::min(out, a[k] - b[k]);
  return out;
}

/// Root mean square over the sphere.
double rms(const std::vector<double>& f, int n) {
  std::vector<double> squares;
  for (double v : f) squares.push_back(v * v);
  return std::sqrt(area_mean(squares, n));
}

// An analytic wind sampled on a longitude-latitude grid with rows on the poles comes back as stream function and wind.
template <class Psi, class Wind>
void expect_round_trip(const Psi& psi, const Wind& wind) {
  std::vector<double> psi_errors, wind_errors;
  for (int level : {1, 2, 4}) {
    const double step = 10.0 / level;
    std::vector<double> lon, lat, east, north;
    for (int i = 0; i < 36 * level; ++i) lon.push_back(step * i);
    for (int j = 0; j <= 18 * level; ++j) lat.push_back(-90 + step * j);
    const LatLonGrid grid = LatLonGrid::from_centres(lon, lat);
    for (double phi : lat)
      for (double lambda : lon) {
        const Vector3 r = to_cartesian(LonLat{lambda * std::numbers::pi / 180, phi * std::numbers::pi / 180});
        // Garbage on the pole rows, which must not be read.
        east.push_back(std::abs(phi) > 89.9 ? 99 : dot(wind(r), east_vector(r)));
        north.push_back(std::abs(phi) > 89.9 ? -99 : dot(wind(r), north_vector(r)));
      }
    const int n = 12 * level;
    const std::vector<double> found = stream_function(wind_at_centres(grid, east, north, n), n);
    psi_errors.push_back(relative_error(found, sample_centres(n, psi)));
    wind_errors.push_back(relative_error(SphereDerivatives(n).rotational_wind(found), sample_vectors(n, wind)));
  }
  // Interpolation, derivatives and pole rows are of fourth order. The vorticity differentiates the interpolated wind,
  // whose slope jumps between grid cells, but inverting the Laplacian gives that order back.
  EXPECT_GT(smallest_slope(psi_errors), 3.5);
  EXPECT_GT(smallest_slope(wind_errors), 3.5);
}

TEST(StreamFunction, ComesBackFromSolidBodyRotation) {
  const Vector3 axis = 20.0 * normalised({0.4, 0.3, 0.8});
  expect_round_trip([&](Vector3 r) { return -kEarthRadius * dot(axis, r); }, [&](Vector3 r) { return cross(axis, r); });
}

TEST(StreamFunction, ComesBackFromARossbyHaurwitzWave) {
  const double k = 7.848e-6, a = kEarthRadius;
  auto gradient = [&](Vector3 r) {  // of z (x^4 - 6 x^2 y^2 + y^4) - z in space
    const double x = r.x, y = r.y, z = r.z;
    return Vector3{z * (4 * x * x * x - 12 * x * y * y), z * (4 * y * y * y - 12 * x * x * y),
                   x * x * x * x - 6 * x * x * y * y + y * y * y * y - 1};
  };
  expect_round_trip(
      [&](Vector3 r) {
        const double x2 = r.x * r.x, y2 = r.y * r.y;
        return a * a * k * r.z * (x2 * x2 - 6 * x2 * y2 + y2 * y2 - 1);
      },
      [&](Vector3 r) { return a * k * cross(r, gradient(r)); });
}

TEST(Orography, SmoothingKeepsIntegralAndRange) {
  const int n = 16;
  std::vector<double> field(6 * n * n, 0.0);
  field[5] = field[n * n - 1] = 4000;  // an edge cell and a corner cell
  field[3 * n * n + 40] = 1000;
  const double before = area_mean(field, n);
  smooth_conserving(field, n, 10);
  EXPECT_NEAR(area_mean(field, n) / before, 1, 1e-13);
  for (double h : field) {
    EXPECT_GE(h, 0);
    EXPECT_LE(h, 4000);
  }
  EXPECT_LT(field[5], 2000);
  EXPECT_THROW(smooth_conserving(field, n, -1), InputError);
}

TEST(Orography, KeepsTheIntegralOfTheRelief) {
  const GriddedField relief = GriddedFile(WindsOptions{}.relief_path).read("ROSE");
  const std::vector<double> areas = relief.grid.areas();
  double land = 0, sphere = 0;
  for (std::size_t k = 0; k < areas.size(); ++k) {
    land += areas[k] * std::max(relief.values[k], 0.0);
    sphere += areas[k];
  }
  for (int n : {17, 48}) {
    const std::vector<double> orography = make_orography(relief, n, 4);
    // Sums of 583,200 terms in one order: 1e-12 of the total.
    EXPECT_NEAR(area_mean(orography, n) / (land / sphere), 1, 1e-11);
    for (double h : orography) ASSERT_GE(h, 0);
  }
  EXPECT_NEAR(land / sphere, 230, 40);  // mean height of land above the sea, spread over the sphere: 0.29 x 800 m
}

class RealWinds : public ::testing::TestWithParam<const char*> {};

TEST_P(RealWinds, MakeABalancedState) {
  const int n = 48;
  WindsOptions options;
  options.month = GetParam();
  const WindsState state = make_winds_state(options, n);
  EXPECT_EQ(state.filled_values, 0);
  double fastest = 0;
  std::size_t c = 0;
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = 0; j < n; ++j)
      for (int i = 0; i < n; ++i, ++c) {
        const Vector3 v{state.velocity[0][c], state.velocity[1][c], state.velocity[2][c]};
        ASSERT_TRUE(std::isfinite(dot(v, v)) && std::isfinite(state.total_height[c]));
        fastest = std::max(fastest, length(v));
        ASSERT_NEAR(dot(v, to_cartesian(cell_centre(n, panel, j, i))), 0, 1e-12 * 40);
      }
  EXPECT_GT(fastest, 25);  // the default layer factor is chosen for jets near 35 m/s
  EXPECT_LT(fastest, 45);
  std::vector<double> depth = state.total_height;
  for (std::size_t k = 0; k < depth.size(); ++k) depth[k] -= state.orography[k];
  EXPECT_NEAR(area_mean(depth, n), options.mean_depth, 1e-8);
  EXPECT_GT(smallest(state.total_height, state.orography), 2000);  // 8000 m less Tibet and a trough
  // Non-divergent to the truncation error of two fourth-order differences, measured 2.6e-5 to 6.0e-5.
  const SphereDerivatives d(n);
  EXPECT_LT(rms(d.divergence(state.velocity), n), 2e-4 * rms(d.vorticity(state.velocity), n));
}
INSTANTIATE_TEST_SUITE_P(Months, RealWinds, ::testing::Values("1983-01", "1991-07"));

// Centres of a 32-grid are centres of a 96-grid: the two states may differ by truncation error, here 1 % of the range,
// and must not differ more along panel edges than elsewhere. The edge cells hold 12 % of all; a factor 2.5 in rms is
// beyond what weather that happens to lie on an edge makes of it.
TEST(WindsState, CarriesNoPrintOfPanelEdges) {
  const WindsState coarse = make_winds_state({}, 32), fine = make_winds_state({}, 96);
  std::vector<double> difference;
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = 0; j < 32; ++j)
      for (int i = 0; i < 32; ++i)
        difference.push_back(coarse.total_height[(panel * 32 + j) * 32 + i] -
                             fine.total_height[(panel * 96 + 3 * j + 1) * 96 + 3 * i + 1]);
  const double shift = area_mean(difference, 32);
  double edge = 0, inner = 0, largest = 0;
  int edge_cells = 0, inner_cells = 0;
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = 0; j < 32; ++j)
      for (int i = 0; i < 32; ++i) {
        const double d = difference[(panel * 32 + j) * 32 + i] - shift;
        const bool at_edge = i == 0 || j == 0 || i == 31 || j == 31;
        (at_edge ? edge : inner) += d * d;
        ++(at_edge ? edge_cells : inner_cells);
        largest = std::max(largest, std::abs(d));
      }
  const double range = *std::max_element(fine.total_height.begin(), fine.total_height.end()) -
                       *std::min_element(fine.total_height.begin(), fine.total_height.end());
  std::printf("    rms at edges %.3f m, elsewhere %.3f m, largest %.3f m of a range of %.0f m\n",
              std::sqrt(edge / edge_cells), std::sqrt(inner / inner_cells), largest, range);
  EXPECT_LT(largest, 0.01 * range);
  EXPECT_LT(std::sqrt(edge / edge_cells), 2.5 * std::sqrt(inner / inner_cells));
}

TEST(WindsState, ScalesWithTheLayerFactor) {
  WindsOptions options;
  options.smoothing_length = 1e6;
  options.layer_factor = 1;
  const WindsState one = make_winds_state(options, 12);
  options.layer_factor = 2;
  const WindsState two = make_winds_state(options, 12);
  for (std::size_t k = 0; k < one.stream_function.size(); ++k)
    ASSERT_NEAR(two.velocity[0][k], 2 * one.velocity[0][k], 1e-10);
}

TEST(WindsState, RefusesWhatItCannotMake) {
  auto says = [](WindsOptions options, const std::string& part) {
    try {
      make_winds_state(options, 12);
      ADD_FAILURE() << "nothing was thrown, expected: " << part;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  says({.winds_path = "/nowhere.cdf"}, "ferret-datasets");
  says({.relief_path = "/nowhere.cdf"}, "ferret-datasets");
  says({.eastward = "U"}, "choose among UWND, VWND");
  says({.relief = "R"}, "choose among ROSE");
  says({.month = "2001-01"}, "1982-01 to 1992-12");
  says({.layer_factor = 0}, "layer factor");
  says({.mean_depth = 2000}, "raise the mean depth");
  says({.mean_depth = -1}, "mean depth");
  says({.smoothing_length = -1}, "smoothing length");
  says({.orography_passes = -1}, "smoothing passes");
}

// The state is made on one rank and scattered; any rank that makes it gets the same bits.
TEST(ParallelWindsState, IsTheSameOnEveryRank) {
  const WindsState state = make_winds_state({}, 12);
  std::vector<double> first = state.total_height;
  MPI_Bcast(first.data(), static_cast<int>(first.size()), MPI_DOUBLE, 0, MPI_COMM_WORLD);
  EXPECT_EQ(first, state.total_height);
}

}  // namespace
}  // namespace tramontane
