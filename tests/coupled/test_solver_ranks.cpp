// The solver alone on any number of ranks: the same bits.
#include <gtest/gtest.h>

#include "job.hpp"

namespace tramontane::testing {
namespace {

/// Budgets of all report intervals, without the wall clock.
std::vector<nlohmann::json> budgets_of(const std::string& folder) {
  std::vector<nlohmann::json> lines = read_metrics(folder + "/metrics.jsonl", "solver");
  for (nlohmann::json& line : lines) line.erase("seconds");
  return lines;
}

TEST(SolverRanks, DoNotChangeASingleBit) {
  const Scratch scratch("solver-ranks");
  const std::string deck = scratch.write("deck.yaml",
                                         "grid: {n: 16}\n"
                                         "initial: {case: winds, month: 1983-01}\n"
                                         "time: {days: 0.5}\n"
                                         "surrogate: {kind: none}\n"
                                         "output: {every: 3h, latlon: 10, plots: false}\n");
  const auto run = [&](int ranks, int tiles) {
    const std::string name = std::to_string(ranks) + "-" + std::to_string(tiles);
    const Job job = run_job(scratch, name, ranks,
                            "run " + deck + " --set output.dir=" + (scratch / name) +
                                " --set grid.tiles_per_edge=" + std::to_string(tiles));
    EXPECT_EQ(job.code, 0) << job.err;
    return scratch / name;
  };
  const std::string one = run(1, 1);
  const auto fields = datasets_of(one + "/solver.nc"), remapped = datasets_of(one + "/solver_latlon.nc");
  const auto budgets = budgets_of(one);

  // Something must have moved, or the comparison would hold of anything: five records of h, first and last differ.
  const std::vector<std::byte>& h = fields.at("h");
  const std::size_t record = h.size() / 5;
  ASSERT_EQ(record % (6 * 16 * 16), 0u);
  EXPECT_FALSE(std::equal(h.begin(), h.begin() + record, h.end() - record));
  ASSERT_EQ(budgets.size(), 5u);

  for (const auto& [ranks, tiles] : {std::pair{2, 1}, {3, 1}, {6, 1}, {4, 2}}) {
    SCOPED_TRACE(std::to_string(ranks) + " ranks, " + std::to_string(tiles) + " tiles along an edge");
    const std::string several = run(ranks, tiles);
    EXPECT_TRUE(datasets_of(several + "/solver.nc") == fields);
    EXPECT_TRUE(datasets_of(several + "/solver_latlon.nc") == remapped);
    if (tiles == 1) {
      EXPECT_EQ(budgets_of(several), budgets);
    } else {
      // Sums run tile by tile: other tiles, other round-off. 1e-14 is some 50 units in the last place of a sum over
      // 1536 cells relative to itself.
      const auto other = budgets_of(several);
      ASSERT_EQ(other.size(), budgets.size());
      for (std::size_t k = 0; k < other.size(); ++k)
        for (const char* budget : {"mass_drift", "energy_drift", "enstrophy_drift"})
          EXPECT_NEAR(other[k][budget].get<double>(), budgets[k][budget].get<double>(), 1e-14) << budget;
    }
  }
}

}  // namespace
}  // namespace tramontane::testing
