// Coupled jobs under seeded faults: none hangs, none leaves an open ledger, nothing that was whole is lost.
//
// By default one job of each kind. A campaign is told by the environment:
//   TRAMONTANE_FAULT_RUNS    how many jobs, the kinds in turn
//   TRAMONTANE_FAULT_SEED    the first seed (1)
//   TRAMONTANE_FAULT_KIND    one kind alone
//   TRAMONTANE_FAULT_RECORD  a file that gets one line of JSON a job; jobs that it holds are not run again
//   TRAMONTANE_FAULT_MINUTES no job begins after so many minutes: the same command goes on another time
//   TRAMONTANE_FAULT_LANES   how many jobs at once (2 by default; 1 in a campaign)
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include "campaign.hpp"

namespace tramontane::testing {
namespace {

std::string from_environment(const char* name, const std::string& otherwise) {
  const char* text = std::getenv(name);
  return text ? text : otherwise;
}

/// Kind and seed of every job. A campaign mixes the kinds, so that one that is broken off has something of all.
std::vector<std::pair<std::string, std::uint64_t>> schedule(bool is_campaign) {
  const std::string one = from_environment("TRAMONTANE_FAULT_KIND", "");
  const std::vector<std::string> kinds = one.empty() ? fault_kinds() : std::vector<std::string>{one};
  const std::size_t runs = std::stoul(from_environment("TRAMONTANE_FAULT_RUNS", std::to_string(kinds.size())));
  const std::uint64_t first = std::stoull(from_environment("TRAMONTANE_FAULT_SEED", "1"));
  std::vector<std::pair<std::string, std::uint64_t>> jobs;
  for (std::size_t run = 0; run < runs; ++run) jobs.emplace_back(kinds[run % kinds.size()], first + run / kinds.size());
  std::mt19937_64 random(first);
  if (is_campaign)
    for (std::size_t k = jobs.size(); k > 1; --k) std::swap(jobs[k - 1], jobs[random() % k]);
  else  // what waits for deadlines goes first, beside the rest
    std::stable_partition(jobs.begin(), jobs.end(),
                          [](const auto& job) { return make_plan(job.first, job.second).deadline < kLongDeadline; });
  return jobs;
}

/// The file of a campaign: what it holds, and one line more at a time.
class Record {
 public:
  explicit Record(const std::string& file) : file_(file) {
    if (file_.empty()) return;
    const std::string text = read_text(file_);
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      const nlohmann::json job = nlohmann::json::parse(line, nullptr, false);
      if (!job.is_object()) continue;  // cut off by a kill
      done_.emplace(job["kind"].get<std::string>(), job["seed"].get<std::uint64_t>());
      for (const auto& violation : job["violations"]) ADD_FAILURE() << "earlier: " << job["what"] << ": " << violation;
    }
    if (!text.empty() && text.back() != '\n') std::ofstream(file_, std::ios::app) << '\n';
  }
  bool holds(const std::pair<std::string, std::uint64_t>& job) const { return done_.count(job) > 0; }
  void add(const FaultRecord& record) {
    if (!file_.empty()) std::ofstream(file_, std::ios::app) << record.to_json().dump() << '\n' << std::flush;
  }

 private:
  std::string file_;
  std::set<std::pair<std::string, std::uint64_t>> done_;
};

TEST(FaultCampaign, LosesNothingAndNeverHangs) {
  const bool is_campaign = std::getenv("TRAMONTANE_FAULT_RUNS") != nullptr;
  const auto jobs = schedule(is_campaign);
  Record records(from_environment("TRAMONTANE_FAULT_RECORD", ""));
  const auto began = std::chrono::steady_clock::now();
  const std::chrono::duration<double, std::ratio<60>> patience(
      std::stod(from_environment("TRAMONTANE_FAULT_MINUTES", "1e6")));
  run_references();
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  const auto work = [&] {
    for (std::size_t k; (k = next++) < jobs.size() && std::chrono::steady_clock::now() - began < patience;) {
      if (records.holds(jobs[k])) continue;
      const FaultPlan plan = make_plan(jobs[k].first, jobs[k].second);
      FaultRecord record;
      try {
        record = run_plan(plan);
      } catch (const std::exception& error) {  // a file that the job should have left
        const std::lock_guard lock(mutex);
        ADD_FAILURE() << plan.text() << ": " << error.what();
        continue;
      }
      const std::lock_guard lock(mutex);
      std::printf("    %-30s seed %3llu  %-6s code %3d  rest %3d  %5.1f s  %s\n", plan.kind.c_str(),
                  static_cast<unsigned long long>(plan.seed), record.has_struck ? "struck" : "missed", record.code,
                  record.code_of_rest, record.seconds, record.violations.empty() ? "" : "VIOLATED");
      std::fflush(stdout);
      for (const std::string& violation : record.violations) ADD_FAILURE() << plan.text() << ": " << violation;
      records.add(record);
    }
  };
  std::vector<std::jthread> lanes(std::stoul(from_environment("TRAMONTANE_FAULT_LANES", is_campaign ? "1" : "2")));
  for (std::jthread& lane : lanes) lane = std::jthread(work);
}

}  // namespace
}  // namespace tramontane::testing
