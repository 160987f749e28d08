// The case `winds`: a month's real winds over the real relief, integrated for two days.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "physics/data/winds_state.hpp"
#include "physics/diagnostics.hpp"
#include "physics/elliptic/petsc_session.hpp"
#include "physics/integrator.hpp"
#include "tests/precision.hpp"

namespace tramontane {
namespace {

using testing::round_off;

TEST(Winds, StaysFiniteAndKeepsItsMassOverTwoDays) {
  const PetscSession petsc;
  const int n = 24;
  for (const char* month : {"1983-01", "1989-07"}) {  // 1989-07 has the strongest flow of all months
    SCOPED_TRACE(month);
    WindsOptions data;
    data.month = month;
    const WindsState start = make_winds_state(data, n);
    const auto grid = std::make_shared<Grid>(Tiling(n, 1, 1), 0);
    ShallowWaterOptions options;
    options.reference = kGravity * data.mean_depth;
    const auto tiles = [&](const std::vector<double>& field) { return tiles_from_global(grid->tiling(), field, 0, 6); };
    ShallowWater solver(grid, MPI_COMM_SELF, tiles(start.orography), options);
    std::vector<double> depth(start.total_height);
    for (std::size_t k = 0; k < depth.size(); ++k) depth[k] -= start.orography[k];
    State state = solver.make_state("state");
    set_state(solver,
              CellFields{tiles(depth), {tiles(start.velocity[0]), tiles(start.velocity[1]), tiles(start.velocity[2])}},
              state);
    const Budgets before = budgets(solver, state);
    SspRk3 integrator(solver);
    double fastest = 0;
    for (int hour = 0; hour < 48; ++hour) {
      const double rate = solver.largest_rate(state);
      ASSERT_TRUE(std::isfinite(rate)) << hour << " h";
      const int steps = static_cast<int>(std::ceil(3600 * rate / 0.8));
      for (int k = 0; k < steps; ++k) integrator.step(solver, state, 3600.0 / steps);
    }
    const CellFields end = cell_fields(solver, state);
    for (const auto* field : {&end.depth, &end.velocity[0], &end.velocity[1], &end.velocity[2]})
      EXPECT_FALSE(any_not_finite(MPI_COMM_SELF, *field));
    for (std::size_t k = 0; k < end.depth.size(); ++k)
      fastest = std::max(fastest,
                         std::sqrt(end.velocity[0][k] * end.velocity[0][k] + end.velocity[1][k] * end.velocity[1][k] +
                                   end.velocity[2][k] * end.velocity[2][k]));
    const Budgets after = budgets(solver, state);
    std::printf("winds %s, C24, 2 days: mass %.1e, energy %.1e, potential enstrophy %.1e, fastest %.1f m/s\n", month,
                after.mass / before.mass - 1, after.energy / before.energy - 1,
                after.potential_enstrophy / before.potential_enstrophy - 1, fastest);
    EXPECT_LT(std::abs(after.mass / before.mass - 1), round_off(1e-13));
    // An upwind flux takes energy and gives none: what is gained is round-off and the truncation error of the sum over
    // cell means.
    EXPECT_LT(after.energy / before.energy - 1, 1e-6);
    EXPECT_GT(after.energy / before.energy - 1, -1e-3);
    // It moved, and did not run away: the strongest month starts at 42 m/s.
    EXPECT_GT(fastest, 10);
    EXPECT_LT(fastest, 100);
    EXPECT_GT(*std::min_element(end.depth.begin(), end.depth.end()), data.min_depth);
  }
}

}  // namespace
}  // namespace tramontane
