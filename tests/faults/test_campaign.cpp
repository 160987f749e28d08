// Coupled jobs under seeded faults: none hangs, none leaves an open ledger, nothing that was whole is lost.
//
// TRAMONTANE_FAULT_RUNS sets how many jobs (default: one of each kind), TRAMONTANE_FAULT_SEED the first seed,
// TRAMONTANE_FAULT_KIND one kind alone, TRAMONTANE_FAULT_RECORD a file that gets one line of JSON a job.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "campaign.hpp"

namespace tramontane::testing {
namespace {

std::string from_environment(const char* name, const std::string& otherwise) {
  const char* text = std::getenv(name);
  return text ? text : otherwise;
}

TEST(FaultCampaign, LosesNothingAndNeverHangs) {
  std::vector<std::string> kinds = fault_kinds();
  const std::string one = from_environment("TRAMONTANE_FAULT_KIND", "");
  if (!one.empty()) kinds = {one};
  const std::size_t runs = std::stoul(from_environment("TRAMONTANE_FAULT_RUNS", std::to_string(kinds.size())));
  const std::uint64_t first = std::stoull(from_environment("TRAMONTANE_FAULT_SEED", "1"));
  const std::string file = from_environment("TRAMONTANE_FAULT_RECORD", "");
  for (std::size_t run = 0; run < runs; ++run) {
    const FaultPlan plan = make_plan(kinds[run % kinds.size()], first + run / kinds.size());
    SCOPED_TRACE(plan.text());
    const FaultRecord record = run_plan(plan);
    std::printf("    %-18s seed %3llu  code %3d  rest %3d  %5.1f s  %s\n", plan.kind.c_str(),
                static_cast<unsigned long long>(plan.seed), record.code, record.code_of_rest, record.seconds,
                record.violations.empty() ? "" : "VIOLATED");
    std::fflush(stdout);
    for (const std::string& violation : record.violations) ADD_FAILURE() << violation;
    if (!file.empty()) std::ofstream(file, std::ios::app) << record.to_json().dump() << '\n';
  }
}

}  // namespace
}  // namespace tramontane::testing
