// Waves and viscosity together at the largest step that a deck may ask for.
#include <gtest/gtest.h>

#include "physics/elliptic/petsc_session.hpp"
#include "tests/integrators/flow.hpp"

namespace tramontane {
namespace {

class ViscousLimit : public ::testing::TestWithParam<std::tuple<std::string, int>> {};
INSTANTIATE_TEST_SUITE_P(Of, ViscousLimit,
                         ::testing::Combine(::testing::ValuesIn(integrator_names()), ::testing::Values(3, 5, 7)),
                         [](const auto& info) {
                           return std::get<0>(info.param) + "_" + std::to_string(std::get<1>(info.param));
                         });

/// Largest departure from a level surface after steps of a share of the limit, from noise of half a metre, with so much
/// viscosity that it makes up the share `viscous` of the rate.
double largest_after(const std::string& name, int order, double viscous, double share, int steps) {
  constexpr int n = 12;
  const AnalyticCase c = resting(1000.0, [](Vector3) { return 0.0; });
  const auto grid = std::make_shared<Grid>(Tiling(n, 1, 1), 0, kEarthRadius, order);
  ShallowWaterOptions options;
  options.reference = kGravity * c.reference_height;
  options.rotation = {0, 0, 0};
  options.viscosity = 1e9;
  const double waves_to_decay = integrator_traits(name).waves_to_decay(order);
  const auto rate_of = [&](const ShallowWaterOptions& o, double weight) {
    ShallowWater solver(grid, MPI_COMM_SELF, cell_means(*grid, c.orography), o);
    const State state = solver.make_state("state");
    set_state(solver, c, state);
    return solver.largest_rate(state, weight);
  };
  const double waves = rate_of(options, 0.0), both = rate_of(options, waves_to_decay);
  options.viscosity *= viscous / (1 - viscous) * waves / (both - waves);

  ShallowWater solver(grid, MPI_COMM_SELF, cell_means(*grid, c.orography), options);
  const State state = solver.make_state("state");
  set_state(solver, c, state);
  const double dt =
      share * integrator_traits(name).courant_limit.at(order) / solver.largest_rate(state, waves_to_decay);
  const auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), state);
  std::uint32_t random = 7;
  for (int tile = 0; tile < kPanels; ++tile)
    for (int v = 0; v < kPrognostic; ++v)
      for (int j = 0; j < n; ++j)
        for (int i = 0; i < n; ++i) {
          random = random * 1664525u + 1013904223u;
          const double noise = random / 4294967296.0 - 0.5;
          // E is of the size g h, M of g h u: half a metre, half a millimetre a second.
          host(tile, 0, v, j + kHalo, i + kHalo) += v == 0 ? kGravity * noise : 10 * noise;
        }
  Kokkos::deep_copy(state, host);
  const auto integrator = make_integrator(name, solver);
  for (int k = 0; k < steps; ++k) integrator->step(solver, state, dt);
  double largest = 0;
  for (double h : cell_fields(solver, state).depth)
    if (!(std::abs(h - 1000) <= largest)) largest = std::abs(h - 1000);
  return largest;
}

TEST_P(ViscousLimit, NoiseDecaysAtTheLargestStep) {
  const auto& [name, order] = GetParam();
  if (integrator_traits(name).courant_limit.at(order) == 0) GTEST_SKIP() << "not to be combined";
  for (const double viscous : {0.02, 0.3, 0.7, 0.999})
    EXPECT_LT(largest_after(name, order, viscous, 1.0, 200), 0.5) << viscous;  // what the noise began with
}

// The limit is no larger than it must be: 30 % past it noise grows where viscosity is all that counts. A step multiplies
// two-cell waves by 2 to 5 there; the cells at the cube's corners, whose rate sets the step, are too few to hold them.
TEST_P(ViscousLimit, IsNotFarFromTheEdge) {
  const auto& [name, order] = GetParam();
  if (integrator_traits(name).courant_limit.at(order) == 0) GTEST_SKIP() << "not to be combined";
  EXPECT_FALSE(largest_after(name, order, 0.999, 1.3, 200) < 1.0);
}

}  // namespace
}  // namespace tramontane
