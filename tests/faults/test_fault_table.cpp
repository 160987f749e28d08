// scripts/fault_table.py: the record of a campaign as a table.
#include <gtest/gtest.h>

#include <cstdlib>

#include "campaign.hpp"

namespace tramontane::testing {
namespace {

std::string line_of(const std::string& kind, std::uint64_t seed, double seconds, int rejected, bool violated) {
  FaultRecord record;
  record.plan = make_plan(kind, seed);
  record.has_struck = true;
  record.code = 0;
  record.seconds = seconds;
  record.ledger = {
      {"produced", 48}, {"delivered", 48 - rejected}, {"dropped", 0}, {"rejected", rejected}, {"in_flight", 0}};
  record.archive = {{"state", "complete"}, {"samples", 48}};
  record.same_bits = nullptr;
  if (violated) record.violations = {"hung until the time limit\nand what it had said"};
  return record.to_json().dump() + "\n";
}

TEST(FaultTable, CountsEveryJobOnceAndTellsWhatWasViolated) {
  const Scratch scratch("fault-table");
  const std::string script = std::string(TRAMONTANE_SOURCE_DIR) + "/scripts/fault_table.py ";
  const auto table_of = [&](const std::string& record) {
    const std::string out = scratch / "out";
    const int status = std::system((script + scratch.write("record", record) + " > " + out + " 2>&1").c_str());
    return std::pair(status == 0, read_text(out));
  };
  const std::string good = line_of("NaN in a frame", 1, 2, 1, false) + line_of("NaN in a frame", 2, 4, 1, false) +
                           line_of("NaN in a frame", 2, 9, 1, false) + line_of("disk full", 1, 3, 0, false);
  const auto [is_good, text] = table_of(good + R"({"kind": "cut off by a ki)");
  EXPECT_TRUE(is_good) << text;
  EXPECT_NE(text.find("| NaN in a frame | 2 | 0 (2) | 3.0, 4.0 | 96 = 94 delivered + 2 rejected | complete (2): 48 | "
                      "not asked | none |"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("\n3 jobs, 3 of them struck by their fault; 0 were started again; 3 ledgers"), std::string::npos)
      << text;
  const auto [is_bad, bad] = table_of(good + line_of("disk full", 7, 3, 0, true));
  EXPECT_FALSE(is_bad);
  EXPECT_NE(bad.find("disk full (seed 7, "), std::string::npos) << bad;
  EXPECT_NE(bad.find(": hung until the time limit\n"), std::string::npos) << bad;
  EXPECT_FALSE(table_of("").first);
}

// The same seed must always give the same job, and a new kind must leave the others alone.
TEST(FaultPlans, AreFunctionsOfKindAndSeed) {
  for (const std::string& kind : fault_kinds()) {
    EXPECT_EQ(make_plan(kind, 3).text(), make_plan(kind, 3).text());
    int others = 0;
    for (std::uint64_t seed = 4; seed < 10; ++seed)
      others +=
          make_plan(kind, seed).text().substr(kind.size() + 9) != make_plan(kind, 3).text().substr(kind.size() + 9);
    EXPECT_GE(others, 3) << kind;
  }
  EXPECT_EQ(make_plan("one of two learners killed", 5).learners, 2);
  EXPECT_EQ(make_plan("learner of two solvers stopped", 5).solvers, 2);
}

}  // namespace
}  // namespace tramontane::testing
