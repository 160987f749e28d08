#include <gtest/gtest.h>

#include "physics/cases/rest.hpp"
#include "physics/initial_state.hpp"
#include "physics/tracer_state.hpp"
#include "physics/cases/rest.hpp"
#include "src/coupled/tracer_report.hpp"
#include "tests/precision.hpp"

namespace tramontane {
namespace {

using testing::error_bound;
using testing::round_off;

TEST(TracerReport, NamesFieldsAndContentsOfTheSolversTracers) {
  const Deck deck = parse_deck("tracer: {limiter: local}", "deck.yaml");
  const AnalyticCase c = resting(1000.0, [](Vector3) { return 0.0; });
  const auto grid = std::make_shared<Grid>(Tiling(8, 1, 1), 0);
  ShallowWaterOptions options;
  options.reference = kGravity * c.reference_height;
  options.tracers = {bounded_tracer(deck, "q", "kg kg-1", 0.0, 1.0), bounded_tracer(deck, "dye", "1", 0.0, 2.0)};
  const ShallowWater solver(grid, MPI_COMM_SELF, cell_means(*grid, c.orography), options);
  EXPECT_EQ(solver.tracers()[1].limiter, TracerLimiter::local);
  EXPECT_EQ(solver.tracers()[1].upper, 2.0);

  const auto variables = tracer_variables(solver);
  ASSERT_EQ(variables.size(), 2u);
  EXPECT_EQ(variables[0].name, "q");
  EXPECT_EQ(variables[0].units, "kg kg-1");

  State state = solver.make_state("state");
  set_state(solver, c, state);
  const auto depth = [](Vector3) { return 1000.0; };
  set_tracer(
      solver, 0, [](Vector3) { return 0.25; }, depth, state);
  set_tracer(
      solver, 1, [](Vector3) { return 0.0; }, depth, state);
  std::map<std::string, std::vector<double>> record;
  add_tracers(solver, state, record);
  ASSERT_EQ(record.at("q").size(), 6u * 64u);
  EXPECT_NEAR(record.at("q")[100], 0.25, round_off(1e-15));  // two roundings

  TracerWatch watch;
  watch.start(solver, state);
  set_tracer(
      solver, 0, [](Vector3) { return 0.5; }, depth, state);
  set_tracer(
      solver, 1, [](Vector3) { return 1.0; }, depth, state);
  const auto drift = watch.drift(solver, state);
  EXPECT_NEAR(drift.at("q"), 1.0, round_off(1e-13));  // sums of 384 values
  // A tracer that was nowhere: its content now, the volume of the fluid (areas are exact solid angles).
  const double volume = 4 * std::numbers::pi * kEarthRadius * kEarthRadius * 1000.0;
  EXPECT_NEAR(drift.at("dye") / volume, 1.0, error_bound(1e-9, 2));
}

TEST(TracerReport, TheDeckRefusesOtherLimiters) {
  EXPECT_THROW(parse_deck("tracer: {limiter: minmod}", "deck.yaml"), InputError);
  EXPECT_EQ(parse_deck("", "deck.yaml").tracer.limiter, TracerLimiter::global);
}

}  // namespace
}  // namespace tramontane
