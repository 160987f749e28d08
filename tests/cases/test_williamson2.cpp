// Convergence against the exact solution: steady geostrophic flow (Williamson et al. 1992, case 2) tilted by 45
// degrees, so that the jet runs over panel edges and cube corners, and by 33, where nothing is symmetric.
#include <gtest/gtest.h>

#include "physics/cases/williamson2.hpp"
#include "tests/cases/convergence.hpp"
#include "tests/precision.hpp"

namespace tramontane {
namespace {

using testing::order_of;
using testing::round_off;

/// What rounding may leave of the depth in five days, in distances between numbers. Measured in single precision at
/// C96: 0.9 in l2, 3.3 in linf.
constexpr double kRoundingL2 = 2, kRoundingLinf = 7;

struct Outcome {
  ErrorNorms depth;
  double mass_drift;
};

Outcome run_williamson2(int n, double degrees) {
  CaseRun run(williamson2(degrees * kQuarterPi / 45), n);
  const double mass = budgets(run.solver, run.state).mass, days = 5;
  run.advance(days * 86400, 0.8);
  const Outcome out{run.depth_errors(days * 86400), std::abs(budgets(run.solver, run.state).mass / mass - 1)};
  print_errors(n, out.depth);
  return out;
}

TEST(Williamson2, ConvergesAtFourthOrderAcrossCorners) {
  std::printf("Williamson 2, 45 degrees, 5 days\n grid      l1        l2        linf\n");
  const Outcome c24 = run_williamson2(24, 45), c48 = run_williamson2(48, 45), c96 = run_williamson2(96, 45);
  // Bounds from the design: l2 < 1e-5 at C48 brackets published fourth-order cores; slopes 0.3 and 0.7 below formal.
  EXPECT_LT(c48.depth.l2, 1e-5);
  EXPECT_GE(order_of(c24.depth.l2, c48.depth.l2, 2.0, 0), 3.7);
  EXPECT_GE(order_of(c48.depth.l2, c96.depth.l2, 2.0, kRoundingL2), 3.7);
  EXPECT_GE(order_of(c24.depth.linf, c48.depth.linf, 2.0, 0), 3.3);
  EXPECT_GE(order_of(c48.depth.linf, c96.depth.linf, 2.0, kRoundingLinf), 3.3);
  for (const Outcome& o : {c24, c48, c96}) EXPECT_LT(o.mass_drift, round_off(1e-13));
}

TEST(Williamson2, ConvergesAtFourthOrderAtAnAngleWithoutSymmetry) {
  std::printf("Williamson 2, 33 degrees, 5 days\n grid      l1        l2        linf\n");
  const Outcome c24 = run_williamson2(24, 33), c48 = run_williamson2(48, 33);
  EXPECT_LT(c48.depth.l2, 1e-5);
  EXPECT_GE(order_of(c24.depth.l2, c48.depth.l2, 2.0, 0), 3.7);
  EXPECT_GE(order_of(c24.depth.linf, c48.depth.linf, 2.0, 0), 3.5);
}

}  // namespace
}  // namespace tramontane
