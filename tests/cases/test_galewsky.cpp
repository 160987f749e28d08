// The unstable jet (Galewsky, Scott and Polvani 2004) in its exact, unperturbed state: what moves is the grid's
// imprint.
#include <gtest/gtest.h>

#include <algorithm>

#include "physics/cases/galewsky.hpp"
#include "tests/cases/convergence.hpp"

namespace tramontane {
namespace {

/// Largest wind across the parallels of the planet, m/s.
double largest_northward(const CaseRun& run) {
  double largest = 0;
  for (double v : horizontal_wind(*run.grid, run.fields()).northward) largest = std::max(largest, std::abs(v));
  return largest;
}

TEST(Galewsky, JetWithoutBumpStaysZonal) {
  const double time = 86400;
  std::printf("Galewsky without the bump, a day\n grid      l1        l2        linf      |v|, m/s\n");
  std::vector<ErrorNorms> errors;
  std::vector<double> across;
  for (int n : {24, 48}) {
    CaseRun run(galewsky(false), n);
    run.advance(time, 0.8);
    errors.push_back(run.depth_errors(time));
    across.push_back(largest_northward(run));
    print_errors(n, errors.back());
    std::printf("       |v| %.3f m/s\n", across.back());
  }
  // The jet is 38 degrees wide: ten cells at C24, too few for the asymptotic order, which is five here.
  EXPECT_GE(slope(errors[0].l2, errors[1].l2, 24, 48), 3.0);
  EXPECT_LT(errors[1].l2, 1e-4);
  EXPECT_LT(across[1], 0.1 * across[0]);
}

}  // namespace
}  // namespace tramontane
