// A fluid at rest over the Earth's relief stays at rest: pressure gradient and slope of the ground cancel to round-off,
// wherever the surface lies (well-balancing; Audusse et al. 2004, SIAM J. Sci. Comput. 25).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "physics/data/gridded_file.hpp"
#include "physics/data/orography.hpp"
#include "physics/data/winds_state.hpp"
#include "physics/diagnostics.hpp"
#include "physics/integrator.hpp"
#include "tests/precision.hpp"

namespace tramontane {
namespace {

using testing::round_off;

TEST(RestOverRelief, StaysAtRestForADay) {
  const int n = 48;
  const WindsOptions data;
  const GriddedFile file(data.relief_path);
  const std::vector<double> orography = make_orography(file.read(data.relief), n, data.orography_passes);
  ASSERT_GT(*std::max_element(orography.begin(), orography.end()), 3000.0);  // mountains are there
  const auto grid = std::make_shared<Grid>(Tiling(n, 1, 1), 0);

  // Reference at the surface, where the state is constant zero, and far above and below it.
  const double surface = 8000.0;
  for (const double reference : {surface, surface - 234.5, surface + 1000.0}) {
    SCOPED_TRACE("reference at " + std::to_string(reference) + " m");
    ShallowWaterOptions options;
    options.reference = kGravity * reference;
    ShallowWater solver(grid, MPI_COMM_SELF, tiles_from_global(grid->tiling(), orography, 0, 6), options);
    CellFields rest;
    for (double height : solver.orography()) rest.depth.push_back(surface - height);
    for (auto& component : rest.velocity) component.assign(rest.depth.size(), 0.0);
    State state = solver.make_state("state");
    set_state(solver, rest, state);
    const double mass = budgets(solver, state).mass;
    SspRk3 integrator(solver);
    const int steps = static_cast<int>(std::ceil(86400 * solver.largest_rate(state) / 0.8));
    for (int k = 0; k < steps; ++k) integrator.step(solver, state, 86400.0 / steps);

    const CellFields end = cell_fields(solver, state);
    double fastest = 0, highest = 0;
    for (std::size_t k = 0; k < end.depth.size(); ++k) {
      fastest = std::max(fastest,
                         std::sqrt(end.velocity[0][k] * end.velocity[0][k] + end.velocity[1][k] * end.velocity[1][k] +
                                   end.velocity[2][k] * end.velocity[2][k]));
      highest = std::max(highest, std::abs(end.depth[k] - rest.depth[k]));
    }
    const double drift = std::abs(budgets(solver, state).mass / mass - 1);
    std::printf(
        "rest over the relief, C48, a day, %d steps, reference %.1f m: |u| %.1e m/s, |h - h0| %.1e m, mass %.1e\n",
        steps, reference, fastest, highest, drift);
    // The acceptance of the design. Round-off of the depth, 8000 m * 2^-53 ~ 1e-12 m, drives gravity waves of
    // u = h sqrt(g/H) ~ 3e-14 m/s a step.
    EXPECT_LT(fastest, round_off(1e-11));
    EXPECT_LT(highest, round_off(1e-9));
    EXPECT_LT(drift, round_off(1e-13));
  }
}

}  // namespace
}  // namespace tramontane
