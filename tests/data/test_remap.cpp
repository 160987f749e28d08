#include <gtest/gtest.h>

#include <random>

#include "convergence.hpp"
#include "kernels/errors.hpp"
#include "physics/remap/conservative_remap.hpp"
#include "physics/remap/smooth_interpolation.hpp"

namespace tramontane {
namespace {

using testing::relative_error;
using testing::smallest_slope;
using testing::tilted;

double integral(const std::vector<double>& field, const std::vector<double>& areas) {
  double sum = 0;
  for (std::size_t k = 0; k < field.size(); ++k) sum += field[k] * areas[k];
  return sum;
}

std::vector<double> noise(std::size_t size) {
  std::mt19937 engine(17);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<double> field(size);
  for (double& v : field) v = uniform(engine);
  return field;
}

template <class Function>
std::vector<double> sample_grid(const LatLonGrid& grid, const Function& f) {
  std::vector<double> field;
  for (double lat : grid.lat)
    for (double lon : grid.lon)
      field.push_back(f(to_cartesian(LonLat{lon * std::numbers::pi / 180, lat * std::numbers::pi / 180})));
  return field;
}

LatLonGrid grid_with_pole_rows() {
  std::vector<double> lon, lat;
  for (int i = 0; i < 144; ++i) lon.push_back(2.5 * i);
  for (int j = 0; j < 73; ++j) lat.push_back(-90 + 2.5 * j);
  return LatLonGrid::from_centres(lon, lat);
}

struct Pair {
  int n;
  LatLonGrid grid;
};
// Odd n puts a pole inside a cell, even n on a corner; grids finer and coarser than the cells; meridians on and off
// panel edges; rows on the poles.
std::vector<Pair> pairs() {
  return {{1, LatLonGrid::regular(30)},  {2, LatLonGrid::regular(90)},  {3, LatLonGrid::regular(10)},
          {5, LatLonGrid::regular(2.5)}, {13, LatLonGrid::regular(20)}, {48, LatLonGrid::regular(2.5)},
          {24, grid_with_pole_rows()},   {96, LatLonGrid::regular(1)}};
}

// A mean of up to some hundred terms: what is left is the round-off of two sums.
TEST(ConservativeRemap, KeepsConstants) {
  for (const Pair& p : pairs()) {
    const ConservativeRemap remap(p.grid, p.n);
    for (double v : remap.to_cubed_sphere(std::vector<double>(p.grid.size(), 3.5))) ASSERT_NEAR(v, 3.5, 1e-13);
    for (double v : remap.to_latlon(std::vector<double>(6 * p.n * p.n, 3.5))) ASSERT_NEAR(v, 3.5, 1e-13);
  }
}

TEST(ConservativeRemap, KeepsTheIntegralOfNoise) {
  for (const Pair& p : pairs()) {
    const ConservativeRemap remap(p.grid, p.n);
    const std::vector<double> cube = cell_areas(p.n), flat = p.grid.areas();
    const std::vector<double> field = noise(p.grid.size()), cells = remap.to_cubed_sphere(field);
    const std::vector<double> cell_noise = noise(cube.size());
    // Sums of up to 65,000 terms of size 1e-4: 1e-12 of the total.
    EXPECT_NEAR(integral(cells, cube) / integral(field, flat), 1, 1e-12) << p.n << " " << p.grid.nlat();
    EXPECT_NEAR(integral(remap.to_latlon(cell_noise), flat) / integral(cell_noise, cube), 1, 1e-12) << p.n;
  }
}

// The integral of each single grid cell, so that an error in one place cannot hide in the sum.
TEST(ConservativeRemap, KeepsTheIntegralOfEveryCell) {
  const LatLonGrid grid = LatLonGrid::regular(15);
  const std::vector<double> flat = grid.areas();
  for (int n : {6, 7}) {
    const ConservativeRemap remap(grid, n);
    const std::vector<double> cube = cell_areas(n);
    for (int k = 0; k < grid.size(); ++k) {
      std::vector<double> one(grid.size(), 0.0);
      one[k] = 1;
      ASSERT_NEAR(integral(remap.to_cubed_sphere(one), cube) / flat[k], 1, 1e-12) << n << " " << k;
    }
  }
}

// The cap north of 45 degrees touches the edges of panel 4 from inside, at their midpoints: its share of the panel is
// 2 pi (1 - sin 45) / (4 pi / 6), and the other panels have none of it.
TEST(ConservativeRemap, MeasuresAPolarCapExactly) {
  const LatLonGrid grid = LatLonGrid::regular(45);
  std::vector<double> cap(grid.size(), 0.0);
  std::fill(cap.end() - grid.nlon(), cap.end(), 1.0);
  const std::vector<double> share = ConservativeRemap(grid, 1).to_cubed_sphere(cap);
  EXPECT_NEAR(share[4], 3 * (1 - std::sqrt(0.5)), 1e-14);
  for (int panel : {0, 1, 2, 3, 5}) EXPECT_NEAR(share[panel], 0, 1e-14);
}

TEST(ConservativeRemap, IsFirstOrderOnASmoothField) {
  auto f = [](Vector3 r) { return 1 + tilted(r).x * tilted(r).y + r.z; };
  std::vector<double> down, up;
  for (int level : {1, 2, 4, 8}) {
    const LatLonGrid grid = LatLonGrid::regular(10.0 / level);
    const int n = 10 * level;
    const ConservativeRemap remap(grid, n);
    down.push_back(relative_error(remap.to_cubed_sphere(sample_grid(grid, f)), sample_centres(n, f)));
    up.push_back(relative_error(remap.to_latlon(sample_centres(n, f)), sample_grid(grid, f)));
  }
  EXPECT_GT(smallest_slope(down), 0.8);  // first order, largest error: where cells meet changes from grid to grid
  EXPECT_GT(smallest_slope(up), 0.8);
}

TEST(LatLonRemap, DescribesItsGrid) {
  const LatLonRemap remap(12, 2.5);
  EXPECT_EQ(remap.nlat(), 72);
  EXPECT_EQ(remap.nlon(), 144);
  EXPECT_DOUBLE_EQ(remap.grid().lat.front(), -88.75);
  EXPECT_DOUBLE_EQ(remap.grid().lon.back(), 358.75);
  EXPECT_DOUBLE_EQ(remap.grid().lat_bounds.front(), -90);
  EXPECT_DOUBLE_EQ(remap.grid().lon_bounds.back(), 360);
  EXPECT_NEAR(integral(std::vector<double>(remap.areas().size(), 1.0), remap.areas()), 16 * kQuarterPi, 1e-11);
  // Where things are: the z coordinate comes back as sin(latitude), to the first order's error of a 7.5-degree cell.
  const std::vector<double> z = remap.apply(sample_centres(12, [](Vector3 r) { return r.z; }));
  EXPECT_NEAR(z[60 * 144 + 10], std::sin(remap.grid().lat[60] * std::numbers::pi / 180), 0.07);
}

TEST(LatLonRemap, RefusesDegreesThatDoNotDivide) {
  for (double degrees : {7.0, 0.0, -2.5, 180.0, 2.4999}) EXPECT_THROW(LatLonRemap(8, degrees), InputError) << degrees;
  EXPECT_NO_THROW(LatLonRemap(8, 1.0 / 3 * 18));
}

TEST(ConservativeRemap, RefusesFieldsOfAnotherSize) {
  const ConservativeRemap remap(LatLonGrid::regular(30), 4);
  EXPECT_THROW(remap.to_latlon(std::vector<double>(5)), InputError);
  EXPECT_THROW(remap.to_cubed_sphere(std::vector<double>(5)), InputError);
}

// Fourth order over the poles and the wrap, for grids with and without rows on the poles.
TEST(SmoothInterpolation, IsFourthOrderEverywhere) {
  auto f = [](Vector3 r) { return std::exp(tilted(r).x) * tilted(r).z; };
  for (bool pole_rows : {false, true}) {
    std::vector<double> errors;
    for (int level : {1, 2, 4}) {
      LatLonGrid grid = LatLonGrid::regular(10.0 / level);
      if (pole_rows) {
        std::vector<double> lat;
        for (int j = 0; j <= 18 * level; ++j) lat.push_back(-90 + 10.0 / level * j);
        grid = LatLonGrid::from_centres(grid.lon, lat);
      }
      errors.push_back(relative_error(interpolate_to_centres(grid, sample_grid(grid, f), 40), sample_centres(40, f)));
    }
    EXPECT_GT(smallest_slope(errors), 3.6);
  }
}

TEST(SmoothInterpolation, RefusesUnevenGrids) {
  const LatLonGrid uneven = LatLonGrid::from_centres({0, 80, 180, 270}, {-60, 0, 60});
  EXPECT_THROW(interpolate_to_centres(uneven, std::vector<double>(12), 8), InputError);
}

}  // namespace
}  // namespace tramontane
