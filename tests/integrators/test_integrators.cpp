// What every integrator must do: converge at its order, conserve mass, and give the same bits on any number of ranks.
#include <gtest/gtest.h>

#include <cstring>

#include "kernels/errors.hpp"
#include "physics/elliptic/petsc_session.hpp"
#include "tests/integrators/flow.hpp"
#include "tests/precision.hpp"

namespace tramontane {
namespace {

using testing::order_of;
using testing::round_off;

using testing::Flow;

class Integrators : public ::testing::TestWithParam<std::string> {};
class AnyRanks : public ::testing::TestWithParam<std::string> {};

std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  return info.param;
}
INSTANTIATE_TEST_SUITE_P(All, Integrators, ::testing::ValuesIn(integrator_names()), test_name);
INSTANTIATE_TEST_SUITE_P(Parallel, AnyRanks, ::testing::ValuesIn(integrator_names()), test_name);

/// Tight, so that the solver of the implicit part leaves no error of its own.
IntegratorOptions exact() {
  IntegratorOptions options;
  options.helmholtz.tolerance = 1e-11;
  return options;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double most = 0;
  for (std::size_t k = 0; k < a.size(); ++k) most = std::max(most, std::abs(a[k] - b[k]));
  return most;
}

TEST_P(Integrators, ConvergesAtItsOrder) {
  // Six hours on one grid against the same integrator with steps sixteen times smaller than the finer of the two: the
  // discretisation in space is common to all three and cancels.
  Flow flow(12, 1, MPI_COMM_SELF);
  const State start = flow.solver->make_state("start");
  Kokkos::deep_copy(start, flow.state);
  const auto integrator = make_integrator(GetParam(), *flow.solver, exact());
  const double seconds = 6 * 3600;
  const int steps = static_cast<int>(
      std::ceil(seconds * flow.solver->largest_rate(start) / std::min(1.0, 0.3 * integrator->traits().courant_limit.at(flow.grid->order()))));
  auto after = [&](int count) {
    Kokkos::deep_copy(flow.state, start);
    flow.run(*integrator, count, seconds);
    return flow.interior();
  };
  const auto reference = after(32 * steps);
  const double coarse = largest_difference(after(steps), reference),
               fine = largest_difference(after(2 * steps), reference);
  std::printf("%s: slope %.2f\n", GetParam().c_str(), std::log2(coarse / fine));
  // The next term of the error's expansion bends the slope; at these steps by less than 0.3.
  // In single precision the errors of the steps lie below the roundings of the reference's many short steps, up to 300
  // distances between numbers of the largest momentum; a wrong coefficient lies far above.
  const double scale = largest_difference(reference, std::vector<double>(reference.size(), 0.0));
  EXPECT_GT(order_of(coarse / scale, fine / scale, 2.0, 1000), integrator->order() - 0.3) << coarse << " " << fine;
  EXPECT_GT(fine, 1e-9);  // above the round-off of a state of 1e4: the slope means something
}

TEST_P(Integrators, ConservesMassAtItsDefaultStep) {
  Flow flow(16, 1, MPI_COMM_SELF);
  const auto integrator = make_integrator(GetParam(), *flow.solver);  // with its loose default tolerance
  const double before = budgets(*flow.solver, flow.state).mass;
  const double dt = integrator->traits().default_courant.at(5) / flow.solver->largest_rate(flow.state);
  const int steps = static_cast<int>(std::ceil(2 * 86400 / dt));
  flow.run(*integrator, steps, steps * dt);
  // At most 200 steps of 6 stages, each a round-off of 1e-16 randomly signed over 1536 cells.
  EXPECT_LT(std::abs(budgets(*flow.solver, flow.state).mass / before - 1), round_off(1e-14));
  EXPECT_LT(flow.solver->largest_rate(flow.state), 1.0);  // finite
}

TEST_P(Integrators, KeepsRestOverOrography) {
  Flow flow(12, 1, MPI_COMM_SELF);
  CellFields rest = cell_fields(*flow.solver, flow.state);
  for (std::size_t k = 0; k < rest.depth.size(); ++k) {
    rest.depth[k] = 3100.0 - flow.solver->orography()[k];  // off the reference of 2500 m
    for (auto& component : rest.velocity) component[k] = 0;
  }
  set_state(*flow.solver, rest, flow.state);
  const auto integrator = make_integrator(GetParam(), *flow.solver);
  const double dt = integrator->traits().default_courant.at(5) / flow.solver->largest_rate(flow.state);
  const int steps = static_cast<int>(std::ceil(86400 / dt));
  flow.run(*integrator, steps, 86400);
  const CellFields after = cell_fields(*flow.solver, flow.state);
  for (const auto& component : after.velocity)
    for (double u : component) EXPECT_LT(std::abs(u), round_off(1e-11));  // m/s: round-off of the pressure force
}

TEST_P(AnyRanks, GiveTheSameBits) {
  Flow one(16, 1, MPI_COMM_SELF), many(16, 1, MPI_COMM_WORLD), tiled(16, 2, MPI_COMM_SELF),
      tiles(16, 2, MPI_COMM_WORLD);
  for (auto [alone, shared] : {std::pair{&one, &many}, {&tiled, &tiles}}) {
    const auto first = make_integrator(GetParam(), *alone->solver),
               second = make_integrator(GetParam(), *shared->solver);
    const double dt = first->traits().default_courant.at(5) / alone->solver->largest_rate(alone->state);
    alone->run(*first, 4, 4 * dt);
    shared->run(*second, 4, 4 * dt);
    const auto all = alone->interior(), mine = shared->interior();
    const std::size_t per_tile = mine.size() / shared->grid->tile_count();
    EXPECT_EQ(
        0, std::memcmp(mine.data(), all.data() + shared->grid->first_tile() * per_tile, mine.size() * sizeof(double)));
  }
}

TEST(IntegratorTable, UnknownNameIsRefused) {
  try {
    integrator_traits("leapfrog");
    FAIL();
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("leapfrog"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("semi_implicit"), std::string::npos);
  }
}

}  // namespace
}  // namespace tramontane
