// Every case through the deck's key initial.case, and the errors that a run reports against the exact solution.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "job.hpp"
#include "src/coupled/initial_cases.hpp"
#include "tests/precision.hpp"

namespace tramontane::testing {
namespace {

Deck deck_of(const std::string& initial) {
  return parse_deck("grid: {n: 16}\ninitial: {" + initial + "}\nsurrogate: {kind: none}\n", "deck.yaml");
}

InitialRun start(const Deck& deck) {
  return start_initial_case(deck, std::make_shared<const Grid>(Tiling(deck.grid.n, 1, 1), 0), MPI_COMM_SELF);
}

TEST(InitialCases, StartFromTheirExactSolution) {
  struct Row {
    std::string initial;
    bool exact, moves;
  };
  const Row rows[] = {
      {"case: williamson1, alpha_deg: 45", true, true},
      {"case: williamson2, alpha_deg: 33", true, true},
      {"case: williamson5", false, true},
      {"case: williamson6", false, true},
      {"case: galewsky", false, true},
      {"case: galewsky, perturbed: false, alpha_deg: 45", true, true},
      {"case: lauter, alpha_deg: -20", true, true},
      {"case: rest, relief: random, seed: 4", true, false},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.initial);
    const Deck deck = deck_of(row.initial);
    const InitialRun run = start(deck);
    const auto first = errors_now(run);
    EXPECT_EQ(first.contains("h"), row.exact);
    EXPECT_EQ(first.contains("speed"), row.exact && row.moves);
    for (const auto& [field, e] : first) EXPECT_LT(e.linf, error_bound(1e-13, 4)) << field;
    const CellFields before = run.simulation->fields();
    run.simulation->advance(6 * 3600.0);
    const CellFields after = run.simulation->fields();
    double changed = 0;
    for (std::size_t k = 0; k < after.depth.size(); ++k)
      changed = std::max(changed, std::abs(after.depth[k] - before.depth[k]));
    const auto later = errors_now(run);
    if (!row.moves) {
      EXPECT_LT(changed, error_bound(1e-9, 8000));
      const std::vector<double> speed = speed_of(after);
      EXPECT_LT(*std::max_element(speed.begin(), speed.end()), round_off(1e-11));  // m/s: the acceptance of the design
      EXPECT_LT(later.at("h").linf, error_bound(1e-13, 4));
    } else {
      EXPECT_GT(changed, 1e-3);  // truncation error at least, at 16 cells a panel edge
    }
    // The exact solution is that of the time: Läuter's rises and falls by hundreds of metres in six hours.
    if (row.exact) {
      EXPECT_LT(later.at("h").linf, 1e-2);
    }
    if (deck.initial.kind == InitialCase::lauter) {
      EXPECT_GT(changed, 100.0);
    }
  }
}

TEST(InitialCases, TiltTurnsThePlanet) {
  const AnalyticCase c = analytic_case(deck_of("case: galewsky, alpha_deg: 90").initial);
  EXPECT_NEAR(c.rotation.x, -kEarthRotation, 1e-18);
  EXPECT_NEAR(c.rotation.z, 0.0, 1e-18);
  EXPECT_THROW(analytic_case(deck_of("case: rest").initial), InputError);
}

TEST(InitialCases, RunReportsErrorsAtEveryInterval) {
  const Scratch scratch("initial-cases");
  const std::string folder = scratch / "run";
  const Job job = run_job(scratch, "lauter", 2,
                          "run " TRAMONTANE_SOURCE_DIR
                          "/inputs/lauter.yaml --set grid.n=16 --set time.days=0.5 --set "
                          "output.every=3h --set output.plots=false --set output.latlon=0 --set output.dir=" +
                              folder);
  ASSERT_EQ(job.code, 0) << job.err;
  const auto lines = read_metrics(folder + "/metrics.jsonl", "solver");
  ASSERT_EQ(lines.size(), 5u);
  double before = 0;
  for (std::size_t k = 0; k < lines.size(); ++k) {
    const double error = lines[k].at("error_h_l2");
    EXPECT_LT(error, 1e-4);
    EXPECT_LT(lines[k].at("error_speed_linf").get<double>(), 1e-2);
    EXPECT_EQ(lines[k].contains("error_q_l2"), false);
    before = error;
  }
  const auto errors = read_json(folder + "/summary.json").at("solver").at("errors");
  EXPECT_EQ(errors.at("h").at("l2").get<double>(), before);
  EXPECT_TRUE(errors.contains("speed"));
}

}  // namespace
}  // namespace tramontane::testing
