// The limiter: bounds kept to round-off on discontinuous fields, in steady and in strongly divergent flow.
#include <gtest/gtest.h>

#include "tests/precision.hpp"
#include "tests/tracer/tracer_fixture.hpp"

namespace tramontane {
namespace {

using namespace testing;

/// Two cylinders with slots, 1 on a background of 0.1, after the test of Nair and Lauritzen 2010 (J. Comput. Phys.
/// 229).
double slotted_cylinders(Vector3 r) {
  for (double longitude : {5 * std::numbers::pi / 6, 7 * std::numbers::pi / 6}) {
    const LonLat p = to_lonlat(r);
    if (angle_between(r, to_cartesian(LonLat{longitude, 0.0})) > 0.5) continue;
    const double side = longitude < std::numbers::pi ? 1.0 : -1.0;
    const bool in_slot = std::abs(p.longitude - longitude) < 0.5 / 6 && side * p.latitude > -5.0 / 12 * 0.5;
    if (!in_slot) return 1.0;
  }
  return 0.1;
}

/// How far values leave [lower, upper], over a run.
struct Excess {
  double lower, upper, most = 0;
  void watch(const std::vector<double>& values) {
    const auto [a, b] = range_of(values);
    most = std::max({most, lower - a, b - upper});
    if (!(a == a)) most = INFINITY;
  }
};

TEST(TracerBounds, SlottedCylindersOnceAroundTheGlobe) {
  TracerFlow s(24, 1, williamson2(kQuarterPi),
               {{"unlimited"},
                {"global", "1", TracerLimiter::global, 0.1, 1.0},
                {"local", "1", TracerLimiter::local, 0.1, 1.0}});
  for (int t = 0; t < 3; ++t) s.set(t, slotted_cylinders);
  const auto exact = s.means(0);
  Excess excess[3] = {{0.1, 1.0}, {0.1, 1.0}, {0.1, 1.0}};
  double outflow = 0;
  const double days = 12 * 86400;
  const int steps = s.run(days, 0.8, [&](int) {
    for (int t = 0; t < 3; ++t) excess[t].watch(s.means(t));
    outflow = std::max(outflow, s.solver->tracer_transport()->largest_outflow());
  });
  std::printf("    %d steps, largest outflow %.3f of a cell's content a step\n", steps, outflow * days / steps);
  for (int t = 0; t < 3; ++t) {
    const ErrorNorms e = error_norms(*s.grid, MPI_COMM_SELF, s.means(t), exact);
    std::printf("    %-10s excess %9.2e  l1 %.3f l2 %.3f linf %.3f\n", s.solver->tracers()[t].name.c_str(),
                excess[t].most, e.l1, e.l2, e.linf);
  }
  EXPECT_LT(outflow * days / steps, 0.5);
  EXPECT_GT(excess[0].most, 1e-2);                        // what the limiter is for
  for (int t : {1, 2}) EXPECT_LT(excess[t].most, round_off(1e-13));  // a rounding of 1e-16 in each of some 2500 stages
}

TEST(TracerBounds, HoldWhileADamBreaks) {
  // A column twice as deep as its surroundings collapses on the resting fluid; every cell is empty or full by chance.
  AnalyticCase c = resting(3000.0, [](Vector3) { return 0.0; });
  const Vector3 corner = normalised({1.0, 1.0, 1.0});
  c.state = [corner](Vector3 r, double) { return PointState{angle_between(r, corner) < 0.6 ? 6000.0 : 3000.0, {0, 0, 0}}; };
  TracerFlow s(24, 1, c,
               {{"unlimited"},
                {"global", "1", TracerLimiter::global, 0.0, 1.0},
                {"local", "1", TracerLimiter::local, 0.0, 1.0}});
  std::mt19937_64 random(3);
  auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), s.state);
  const auto bottom = Kokkos::create_mirror_view_and_copy(HostSpace(), s.solver->bottom());
  for (int tile = 0; tile < kPanels; ++tile)
    for (int j = 0; j < 24; ++j)
      for (int i = 0; i < 24; ++i) {
        const double q = static_cast<double>(random() % 2);
        for (int t = 0; t < 3; ++t)
          host(tile, 0, kPrognostic + t, j + kHalo, i + kHalo) =
              q * (host(tile, 0, 0, j + kHalo, i + kHalo) - bottom(tile, j, i));
      }
  Kokkos::deep_copy(s.state, host);
  Excess excess[3] = {{0.0, 1.0}, {0.0, 1.0}, {0.0, 1.0}};
  double outflow = 0;
  const double seconds = 86400;
  const int steps = s.run(seconds, 0.8, [&](int) {
    for (int t = 0; t < 3; ++t) excess[t].watch(s.means(t));
    outflow = std::max(outflow, s.solver->tracer_transport()->largest_outflow());
  });
  std::printf("    %d steps, largest outflow %.3f of a cell's content a step, excess %.1e %.1e %.1e\n", steps,
              outflow * seconds / steps, excess[0].most, excess[1].most, excess[2].most);
  EXPECT_LT(outflow * seconds / steps, 1.0);  // the limiter's condition, implied by the flow's own Courant number
  EXPECT_GT(excess[0].most, 1e-2);
  for (int t : {1, 2}) EXPECT_LT(excess[t].most, round_off(1e-13));
}

}  // namespace
}  // namespace tramontane
