// The analytic cases: that they solve the equations, and the figures that identify them.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "physics/cases/galewsky.hpp"
#include "physics/cases/lauter.hpp"
#include "physics/cases/rest.hpp"
#include "physics/cases/williamson1.hpp"
#include "physics/cases/williamson2.hpp"
#include "physics/cases/williamson5.hpp"
#include "physics/cases/williamson6.hpp"
#include "physics/gauss_quadrature.hpp"
#include "physics/tracer_state.hpp"
#include "tests/precision.hpp"

namespace tramontane {
namespace {

using testing::error_bound;

constexpr double kDegree = kQuarterPi / 45;

/// Centred difference of f(s) at s = 0.
template <class Function>
auto derivative(const Function& f, double step) {
  return (1 / (2 * step)) * (f(step) + (-1.0) * f(-step));
}

/// What the rotating shallow-water equations leave of a case at a point and a time, relative to their largest terms,
/// by finite differences: momentum (tangential) and mass, and the advection of the tracer.
struct Residual {
  double momentum, mass, tracer = 0;
};

Residual residual(const AnalyticCase& c, Vector3 r, double time) {
  const double step = 1e-4, seconds = 20;  // radians; truncation is their square over that of the flow's scale
  const PointState here = c.state(r, time);
  const Vector3 e = east_vector(r), n = north_vector(r), v = here.velocity;
  const auto moved = [&](Vector3 along, double s) { return normalised(r + s * along); };
  const auto surface = [&](Vector3 p) { return c.state(p, time).depth + c.orography(p); };
  const auto flux = [&](Vector3 p) {
    const PointState s = c.state(p, time);
    return s.depth * s.velocity;
  };
  const Vector3 change = derivative([&](double s) { return c.state(r, time + s).velocity; }, seconds);
  const Vector3 advection =
      (1 / kEarthRadius) * derivative([&](double s) { return c.state(moved(v, s), time).velocity; }, step / 50);
  const Vector3 coriolis = 2 * dot(c.rotation, r) * cross(r, v);
  const Vector3 pressure =
      (kGravity / kEarthRadius) * (derivative([&](double s) { return surface(moved(e, s)); }, step) * e +
                                   derivative([&](double s) { return surface(moved(n, s)); }, step) * n);
  const Vector3 all = change + advection + coriolis + pressure;
  Residual out;
  const double force = 2 * kEarthRotation * 40;  // Coriolis force on a wind of 40 m/s
  out.momentum = length(all - dot(all, r) * r) / force;
  const double divergence = dot(e, derivative([&](double s) { return flux(moved(e, s)); }, step)) +
                            dot(n, derivative([&](double s) { return flux(moved(n, s)); }, step));
  const double rise = derivative([&](double s) { return c.state(r, time + s).depth; }, seconds);
  out.mass = std::abs(rise + divergence / kEarthRadius) / (1e4 * 40 / kEarthRadius);
  if (c.tracer)
    out.tracer = std::abs(derivative([&](double s) { return c.tracer(r, time + s); }, seconds) +
                          derivative([&](double s) { return c.tracer(moved(v, s), time); }, step / 50) / kEarthRadius) /
                 (3 * 40 / kEarthRadius);
  return out;
}

/// Points spread over the sphere, the same in every run.
std::vector<Vector3> some_points(int count) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> any;
  std::vector<Vector3> out;
  for (int k = 0; k < count; ++k) out.push_back(normalised({any(random), any(random), any(random)}));
  return out;
}

TEST(Cases, ExactOnesSolveTheEquations) {
  const std::pair<const char*, AnalyticCase> cases[] = {
      {"williamson1", williamson1(33 * kDegree)},
      {"williamson2", williamson2(33 * kDegree)},
      {"galewsky", galewsky(false)},
      {"galewsky, tilted", tilted(galewsky(false), 33 * kDegree)},
      {"lauter", lauter()},
      {"lauter, tilted", tilted(lauter(), -70 * kDegree)},
      {"rest", resting(6000, williamson5_mountain)},
  };
  for (const auto& [name, c] : cases) {
    SCOPED_TRACE(name);
    EXPECT_TRUE(c.exact);
    double momentum = 0, mass = 0, tracer = 0;
    for (const Vector3& r : some_points(2000))
      for (const double time : {0.0, 20000.0, 300000.0}) {
        // The cone's foot and tip have no derivative.
        if (c.orography(r) > 0 && std::string(name) == "rest") continue;
        const Residual left = residual(c, r, time);
        momentum = std::max(momentum, left.momentum);
        mass = std::max(mass, left.mass);
        tracer = std::max(tracer, left.tracer);
      }
    // Differences of second order at 1e-4 of a radian: the jet's finest scale is 0.02, so (1e-4 / 0.02)^2 of a part of
    // the force; a wrong sign or factor leaves 0.1 and more.
    EXPECT_LT(momentum, 1e-4);
    EXPECT_LT(mass, 1e-5);
    EXPECT_LT(tracer, 1e-4);
  }
}

TEST(Cases, ZonalFlowOverTheConeIsBalancedButForTheMass) {
  const AnalyticCase c = tilted(williamson5(), 20 * kDegree);
  EXPECT_FALSE(c.exact);
  double momentum = 0, mass = 0;
  for (const Vector3& r : some_points(2000)) {
    const Residual left = residual(c, r, 0);
    momentum = std::max(momentum, left.momentum);
    mass = std::max(mass, left.mass);
  }
  EXPECT_LT(momentum, 1e-6);  // the surface is smooth and in balance
  EXPECT_GT(mass, 1e-2);      // the flow runs up the cone
  const Vector3 top = to_cartesian(LonLat{1.5 * std::numbers::pi, std::numbers::pi / 6});
  EXPECT_NEAR(williamson5_mountain(top), 2000, 1e-9);
  EXPECT_EQ(williamson5_mountain({1, 0, 0}), 0);
  EXPECT_NEAR(williamson5().state({0, 0, 1}, 0).depth, 5960 - (kEarthRadius * kEarthRotation * 20 + 200) / kGravity,
              1e-9);
}

TEST(Cases, TiltTurnsFlowAndRotationTogether) {
  const AnalyticCase turned = tilted(williamson2(0), 0.7), direct = williamson2(0.7);
  EXPECT_LT(length(turned.rotation - direct.rotation), 1e-18);
  for (const Vector3& r : some_points(50)) {
    EXPECT_NEAR(turned.state(r, 0).depth, direct.state(r, 0).depth, 1e-9);
    EXPECT_LT(length(turned.state(r, 0).velocity - direct.state(r, 0).velocity), 1e-12);
  }
  EXPECT_FALSE(static_cast<bool>(turned.tracer));
}

TEST(Cases, BellReturnsAfterTwelveDays) {
  const AnalyticCase c = williamson1(kQuarterPi);
  const double day = 86400;
  EXPECT_NEAR(c.tracer({0, -1, 0}, 0), 1.0, 1e-15);
  EXPECT_EQ(c.tracer({0, 1, 0}, 0), 0.0);
  EXPECT_NEAR(c.tracer({0, 1, 0}, 6 * day), 1.0, 1e-15);
  // After three days: eastward along the tilted equator, at the point where it crosses longitude 0.
  EXPECT_NEAR(c.tracer({std::sqrt(0.5), 0, std::sqrt(0.5)}, 3 * day), 1.0, 1e-15);
  for (const Vector3& r : some_points(200)) EXPECT_NEAR(c.tracer(r, 12 * day), c.tracer(r, 0), 1e-13);
}

/// Integral of f from low to high over `pieces` equal pieces of five-point quadrature.
template <class Function>
double integral(double low, double high, int pieces, const Function& f) {
  constexpr GaussRule rule;
  double sum = 0;
  const double width = (high - low) / pieces;
  for (int k = 0; k < pieces; ++k)
    for (int p = 0; p < 5; ++p) sum += width * rule.weight[p] * f(low + width * (k + 0.5 + rule.node[p]));
  return sum;
}

TEST(Galewsky, HeightIsTheIntegralOfTheBalance) {
  const double south = std::numbers::pi / 7, north = std::numbers::pi / 2 - south, top = galewsky_height(-1.0);
  const auto slope = [](double latitude) {
    const double u = galewsky_wind(latitude);
    return kEarthRadius / kGravity * u *
           (2 * kEarthRotation * std::sin(latitude) + std::tan(latitude) * u / kEarthRadius);
  };
  EXPECT_NEAR(galewsky_wind(kQuarterPi), 80, 1e-12);
  for (double part = 0.05; part <= 1.0; part += 0.0513) {
    const double latitude = south + part * (north - south);
    // 1e-12 of the drop; five-point quadrature on 2000 pieces is exact to round-off.
    EXPECT_NEAR(galewsky_height(latitude), top - integral(south, latitude, 2000, slope), 1.1e-9) << part;
  }
}

TEST(Galewsky, HeightHasThePublishedMeanAndDrop) {
  const double pole = std::numbers::pi / 2, south = std::numbers::pi / 7, north = pole - south;
  const auto weighted = [](double latitude) { return 0.5 * galewsky_height(latitude) * std::cos(latitude); };
  const double mean = integral(-pole, south, 100, weighted) + integral(south, north, 1000, weighted) +
                      integral(north, pole, 100, weighted);
  EXPECT_NEAR(mean, 10000, 1e-5);  // the offset is given to 1e-5 m
  EXPECT_NEAR(galewsky_height(-pole) - galewsky_height(pole), 1086.978, 5e-4);
  const AnalyticCase calm = galewsky(false), disturbed = galewsky(true);
  const double bump = integral(-pole, pole, 60, [&](double latitude) {
    return integral(-std::numbers::pi, std::numbers::pi, 60, [&](double longitude) {
      const Vector3 r = to_cartesian(LonLat{longitude, latitude});
      return std::cos(latitude) * (disturbed.state(r, 0).depth - calm.state(r, 0).depth) / (4 * std::numbers::pi);
    });
  });
  EXPECT_NEAR(bump, 0.3333, 5e-5);
  EXPECT_FALSE(disturbed.exact);
}

TEST(Williamson6, IsTheWaveOfThePaper) {
  const double w = 7.848e-6, a = kEarthRadius, rotation = kEarthRotation;
  const AnalyticCase c = williamson6();
  EXPECT_NEAR(c.state({0, 0, 1}, 0).depth, 8000, 1e-9);
  EXPECT_LT(length(c.state({0, 0, -1}, 0).velocity), 1e-12);
  for (const Vector3& r : some_points(200)) {
    // In longitude and latitude as printed, eqs. 143-149.
    const LonLat p = to_lonlat(r);
    const double cosine = std::cos(p.latitude), sine = std::sin(p.latitude), lon = p.longitude;
    const double u =
        a * w * cosine + a * w * std::pow(cosine, 3) * (4 * sine * sine - cosine * cosine) * std::cos(4 * lon);
    const double v = -4 * a * w * std::pow(cosine, 3) * sine * std::sin(4 * lon);
    const double big_a = 0.5 * w * (2 * rotation + w) * cosine * cosine +
                         0.25 * w * w * std::pow(cosine, 8) * (5 * cosine * cosine + 26 - 32 / (cosine * cosine));
    const double big_b = 2 * (rotation + w) * w / 30 * std::pow(cosine, 4) * (26 - 25 * cosine * cosine);
    const double big_c = 0.25 * w * w * std::pow(cosine, 8) * (5 * cosine * cosine - 6);
    const double depth = 8000 + a * a / kGravity * (big_a + big_b * std::cos(4 * lon) + big_c * std::cos(8 * lon));
    const PointState s = c.state(r, 0);
    EXPECT_NEAR(dot(s.velocity, east_vector(r)), u, 1e-10);
    EXPECT_NEAR(dot(s.velocity, north_vector(r)), v, 1e-10);
    EXPECT_NEAR(s.depth, depth, 1e-8);
    // A quarter turn changes no bit.
    const PointState turned = c.state({-r.y, r.x, r.z}, 0);
    EXPECT_EQ(turned.depth, s.depth);
    EXPECT_EQ(turned.velocity.z, s.velocity.z);
  }
}

TEST(Rest, RandomReliefDependsOnSeedAndCellAlone) {
  const Grid whole(Tiling(12, 1, 1), 0);
  const std::vector<double> one = random_relief(whole, 3000, 5);
  std::vector<double> assembled;
  for (int rank = 0; rank < 4; ++rank) {
    const Grid part(Tiling(12, 3, 4), rank);
    tiles_to_global(part.tiling(), random_relief(part, 3000, 5).data(), part.first_tile(), part.tile_count(),
                    assembled);
  }
  EXPECT_EQ(one, assembled);
  EXPECT_NE(one, random_relief(whole, 3000, 6));
  const auto [low, high] = std::minmax_element(one.begin(), one.end());
  EXPECT_GE(*low, 0);
  EXPECT_LT(*low, 30);  // 864 draws
  EXPECT_GT(*high, 2970);
  EXPECT_LT(*high, 3000);
}

TEST(InitialState, ExactFieldsAreWhatTheStateHolds) {
  const AnalyticCase c = tilted(lauter(), 0.4);
  const auto grid = std::make_shared<Grid>(Tiling(8, 1, 1), 0);
  ShallowWaterOptions options;
  options.reference = kGravity * c.reference_height;
  options.rotation = c.rotation;
  const ShallowWater solver(grid, MPI_COMM_SELF, cell_means(*grid, c.orography), options);
  const State state = solver.make_state("state");
  set_state(solver, c, state, 5000.0);
  const CellFields held = cell_fields(solver, state), exact = exact_fields(solver, c, 5000.0);
  for (std::size_t k = 0; k < held.depth.size(); ++k) {
    EXPECT_NEAR(held.depth[k], exact.depth[k], error_bound(1e-8, exact.depth[k]));
    for (int component = 0; component < 3; ++component)
      EXPECT_NEAR(held.velocity[component][k], exact.velocity[component][k], error_bound(1e-10, 100));
  }
  const CellFields start = exact_fields(solver, c, 0.0);
  EXPECT_GT(std::abs(start.depth[5] - exact.depth[5]), 1.0);  // it moves
}

TEST(InitialState, TracerIsTheMeanOfMixingRatioTimesFluid) {
  AnalyticCase c = williamson1(0.3);
  const auto grid = std::make_shared<Grid>(Tiling(8, 1, 1), 0);
  ShallowWaterOptions options;
  options.reference = kGravity * c.reference_height;
  options.tracers = {{"q"}};
  const ShallowWater solver(grid, MPI_COMM_SELF, cell_means(*grid, c.orography), options);
  const State state = solver.make_state("state");
  set_state(solver, c, state);
  set_tracer(solver, 0, c, state, 86400.0);
  const auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), state);
  const CellFields fields = cell_fields(solver, state);
  const std::vector<double> q = exact_tracer(*grid, c, 86400.0);
  double largest = 0;
  std::size_t k = 0;
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = 0; j < 8; ++j)
      for (int i = 0; i < 8; ++i, ++k) {
        const double fluid = grid->mean_sqrt_g(j, i) * kGravity * fields.depth[k];
        EXPECT_NEAR(host(panel, 0, 3, j + kHalo, i + kHalo) / fluid, q[k], error_bound(1e-12, 2));
        largest = std::max(largest, q[k]);
      }
  EXPECT_GT(largest, 0.5);
  // A constant mixing ratio comes out constant.
  c.tracer = [](Vector3, double) { return 0.25; };
  for (double ratio : exact_tracer(*grid, c, 0.0)) EXPECT_NEAR(ratio, 0.25, 1e-15);
}

}  // namespace
}  // namespace tramontane
