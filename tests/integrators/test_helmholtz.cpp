// The Helmholtz problem of the semi-implicit integrator: operator, solvers, and what is said when they fail.
#include <gtest/gtest.h>

#include "kernels/errors.hpp"
#include "physics/integrators/semi_implicit.hpp"
#include "tests/integrators/flow.hpp"
#include "tests/precision.hpp"

namespace tramontane {
namespace {

using testing::error_bound;

using testing::Flow;

IntegratorOptions with(const std::string& solver, const std::string& preconditioner, double tolerance) {
  IntegratorOptions options;
  options.helmholtz.solver = solver;
  options.helmholtz.preconditioner = preconditioner;
  options.helmholtz.tolerance = tolerance;
  return options;
}

TEST(GravityWaves, AreTheLinearPartOfTheTendency) {
  // At rest over level ground F(q0 + e q') = e L q' + O(e^2), up to the Coriolis force, which is turned off. What is
  // left is the difference of two discretisations of one equation; it falls at the order of the lower one, two: L takes
  // the product of a face's mean metric and mean eta.
  auto relative_difference = [](int n) {
    auto grid = std::make_shared<Grid>(Tiling(n, 1, 1), 0);
    ShallowWaterOptions options;
    options.reference = kGravity * 5000.0;
    options.rotation = {0, 0, 0};
    ShallowWater solver(grid, MPI_COMM_SELF, std::vector<double>(grid->tiling().cell_count(), 0.0), options);
    AnalyticCase c = resting(5000.0, [](Vector3) { return 0.0; });
    State rest = solver.make_state("rest"), state = solver.make_state("state");
    set_state(solver, c, rest);
    c.state = [](Vector3 r, double) {
      return PointState{5000.0 + 1e-3 * (r.x * r.y + 0.5 * r.z * r.z * r.x),
                        1e-5 * (cross(Vector3{0.3, -0.5, 0.8}, r) + r.z * cross(Vector3{0.1, 0.7, 0.2}, r))};
    };
    set_state(solver, c, state);
    State tendency = solver.make_state("tendency"), linear = solver.make_state("linear");
    solver.stage(tendency, 0.0, state, 0.0, state, 1.0);
    GravityWaves waves(solver);
    waves.freeze(solver, rest);
    waves.divergence(linear, 0.0, linear, 1.0, state);
    waves.pressure_force(linear, 0.0, linear, 1.0, state);
    double worst = 0;
    for (int v = 0; v < kPrognostic; ++v) {
      double most = 0, scale = 0;
      for (int tile = 0; tile < kPanels; ++tile)
        for (int j = kHalo; j < n + kHalo; ++j)
          for (int i = kHalo; i < n + kHalo; ++i) {
            most = std::max<double>(most, std::abs(tendency(tile, 0, v, j, i) - linear(tile, 0, v, j, i)));
            scale = std::max<double>(scale, std::abs(linear(tile, 0, v, j, i)));
          }
      worst = std::max(worst, most / scale);
    }
    return worst;
  };
  const double coarse = relative_difference(12), fine = relative_difference(24);
  EXPECT_LT(fine, 2e-3);
  EXPECT_GT(std::log2(coarse / fine), 1.8) << coarse << " " << fine;
}

TEST(Helmholtz, AllSolversAgree) {
  // One step of all methods, solved tightly, from one state.
  Flow flow(16, 1, MPI_COMM_SELF);
  const State start = flow.solver->make_state("start");
  Kokkos::deep_copy(start, flow.state);
  const double dt = 8.0 / flow.solver->largest_rate(start);
  auto after = [&](const std::string& solver, const std::string& preconditioner) {
    Kokkos::deep_copy(flow.state, start);
    flow.run(*make_integrator("semi_implicit", *flow.solver, with(solver, preconditioner, 1e-9)), 1, dt);
    return flow.interior();
  };
  const auto expected = after("chebyshev", "none");
  for (const auto& [solver, preconditioner] :
       {std::pair{"gmres", "none"}, {"fgmres", "gamg"}, {"fgmres", "bjacobi"}, {"bcgs", "jacobi"}}) {
    SCOPED_TRACE(std::string(solver) + " with " + preconditioner);
    const auto found = after(solver, preconditioner);
    double most = 0, scale = 0;
    for (std::size_t k = 0; k < found.size(); ++k) {
      most = std::max(most, std::abs(found[k] - expected[k]));
      scale = std::max(scale, std::abs(expected[k]));
    }
    // The tolerance times the Courant number of the step; roundings grow with its square.
    EXPECT_LT(most, error_bound(1e-8, 1000) * scale);
  }
}

TEST(Helmholtz, MultigridNeedsFewerIterationsAndGrowsSlower) {
  Flow flow(24, 1, MPI_COMM_SELF);
  const double rate = flow.solver->largest_rate(flow.state);
  auto iterations = [&](const std::string& solver, const std::string& preconditioner, double courant) {
    SemiImplicit integrator(*flow.solver, with(solver, preconditioner, 1e-4).helmholtz);
    const State state = flow.solver->make_state("copy");
    Kokkos::deep_copy(state, flow.state);
    integrator.step(*flow.solver, state, courant / rate);
    return integrator.helmholtz().total_iterations();
  };
  // Chebyshev's number goes with the root of the condition number, so with the step: four times. The multigrid's goes
  // with how well a second-order matrix stands for the operator.
  const long multigrid = iterations("fgmres", "gamg", 16.0), plain = iterations("chebyshev", "none", 16.0);
  EXPECT_LT(3 * multigrid, plain);
  // Single precision may stop the shorter step's solver at round-off, an iteration earlier.
  const int spared = kCoarseness > 1 ? 3 : 0;
  EXPECT_LT(multigrid, 3 * iterations("fgmres", "gamg", 4.0) + spared);
  EXPECT_GT(plain, 3 * iterations("chebyshev", "none", 4.0));
}

TEST(Helmholtz, RefusesWhatItCannotDo) {
  Flow flow(12, 1, MPI_COMM_SELF);
  EXPECT_THROW(make_integrator("semi_implicit", *flow.solver, with("chebyshev", "gamg", 1e-3)), InputError);
  EXPECT_THROW(make_integrator("semi_implicit", *flow.solver, with("sledgehammer", "none", 1e-3)), InputError);
  EXPECT_THROW(make_integrator("semi_implicit", *flow.solver, with("fgmres", "wishes", 1e-3)), InputError);
}

TEST(Helmholtz, SaysSoWhenItDoesNotConverge) {
  Flow flow(12, 1, MPI_COMM_SELF);
  const double dt = 8.0 / flow.solver->largest_rate(flow.state);
  for (const char* solver : {"chebyshev", "gmres"}) {
    IntegratorOptions options = with(solver, "none", 1e-6);
    options.helmholtz.iterations = 3;
    const auto integrator = make_integrator("semi_implicit", *flow.solver, options);
    try {
      integrator->step(*flow.solver, flow.state, dt);
      FAIL() << solver;
    } catch (const RunError& e) {
      EXPECT_NE(std::string(e.what()).find("physics.helmholtz.iterations"), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find("residual"), std::string::npos) << e.what();
    }
    EXPECT_EQ(flow.solver->dissipation(), 1.0);  // as it was before the step
  }
}

TEST(Helmholtz, PassesOptionsToPetsc) {
  Flow flow(12, 1, MPI_COMM_SELF);
  IntegratorOptions options = with("gmres", "none", 1e-6);
  options.helmholtz.petsc_options = "-ksp_max_it 2";
  const auto integrator = make_integrator("semi_implicit", *flow.solver, options);
  EXPECT_THROW(integrator->step(*flow.solver, flow.state, 8.0 / flow.solver->largest_rate(flow.state)), RunError);
}

TEST(ParallelHelmholtz, MultigridWorksOnManyRanks) {
  Flow one(16, 1, MPI_COMM_SELF), many(16, 1, MPI_COMM_WORLD);
  const double dt = 8.0 / one.solver->largest_rate(one.state);
  one.run(*make_integrator("semi_implicit", *one.solver, with("fgmres", "gamg", 1e-9)), 2, 2 * dt);
  many.run(*make_integrator("semi_implicit", *many.solver, with("fgmres", "gamg", 1e-9)), 2, 2 * dt);
  const auto all = one.interior(), mine = many.interior();
  const std::size_t per_tile = mine.size() / many.grid->tile_count();
  double most = 0;
  for (std::size_t k = 0; k < mine.size(); ++k)
    most = std::max(most, std::abs(mine[k] - all[many.grid->first_tile() * per_tile + k]));
  EXPECT_LT(most, error_bound(1e-8, 1000) * 3e4 * 100);  // the tolerance on momenta of phi |u|, sums in another order
}

}  // namespace
}  // namespace tramontane
