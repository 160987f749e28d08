// Convergence against an exact solution that depends on time and has orography (Läuter, Handorf and Dethloff 2005).
#include <gtest/gtest.h>

#include "physics/cases/lauter.hpp"
#include "tests/cases/convergence.hpp"
#include "tests/precision.hpp"

namespace tramontane {
namespace {

using testing::error_bound;
using testing::order_of;

TEST(Lauter, ConvergesAtFourthOrderOverOrography) {
  const int grids[] = {16, 24, 32, 48};
  const double time = 6 * 3600.0;  // a quarter turn of the flow's axis
  std::vector<ErrorNorms> errors;
  std::printf("Läuter, planet tilted by 45 degrees, 6 h\n grid      l1        l2        linf\n");
  for (int n : grids) {
    CaseRun run(tilted(lauter(), kQuarterPi), n);
    // A small Courant number, so that the third order of the integrator does not show.
    run.advance(time, 0.2);
    errors.push_back(run.depth_errors(time));
    print_errors(n, errors.back());
  }
  // Formal order four, less 0.3 in l2 and 0.5 in linf.
  for (std::size_t k = 1; k < errors.size(); ++k) {
    EXPECT_GE(order_of(errors[k - 1].l2, errors[k].l2, static_cast<double>(grids[k]) / grids[k - 1], 0), 3.7)
        << grids[k];
    EXPECT_GE(order_of(errors[k - 1].linf, errors[k].linf, static_cast<double>(grids[k]) / grids[k - 1], 0), 3.5)
        << grids[k];
  }
  // A wrong sign anywhere in the case leaves an error of the order of the wave's amplitude over the depth, 1e-2.
  EXPECT_LT(errors.back().l2, 1e-6);
}

}  // namespace
}  // namespace tramontane
