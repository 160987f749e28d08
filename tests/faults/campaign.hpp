/// Seeded faults in coupled jobs: what is done to a job, what must hold afterwards, what happened.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "job.hpp"

namespace tramontane::testing {

/// s, stream.deadline of the jobs: long enough for a busy machine, whose disk may take 15 s to write a snapshot, and where the
/// fault is that somebody is waited for.
inline constexpr double kLongDeadline = 30, kShortDeadline = 8;

/// Calls of the network in an undisturbed job (three shadow forecasts of six hours and a forecast of twelve); steps of
/// fine and coarse solvers together before the hybrid forecast, and in it.
inline constexpr std::uint64_t kNetworkCalls = 30, kSolverSteps = 820, kHybridSteps = 44;

/// The kinds of fault. Each name says who is hit by what.
const std::vector<std::string>& fault_kinds();

/// One disturbed job. A function of the seed and the kind alone.
struct FaultPlan {
  std::string kind;
  std::uint64_t seed = 0;
  int solvers = 1, learners = 1;
  std::string orders;    ///< TRAMONTANE_FAULT
  std::string settings;  ///< further --set options
  double deadline = kLongDeadline;
  int signal = 0;                 ///< sent from outside to `target` after `moment` seconds of teaching; 0: none
  int target = -1;                ///< rank, or -1 for all
  double moment = 0;              ///< s after the first sign that the job is under way
  long file_limit_kb = 0;         ///< largest file that the job may write; 0: no limit
  bool damages_snapshot = false;  ///< a bit of the newest snapshot is flipped before the job goes on
  std::vector<int> codes;         ///< exit codes that are right
  bool goes_on = false;  ///< one that did not end with 0 is started again with checkpoint.resume=auto and must end well
  bool same_bits = false;  ///< then model, forecasts and archive are those of the undisturbed job
  std::string named;       ///< regular expression: the log or the metrics must say so once the fault has struck
  int rejects = 0;         ///< samples that the stream must have rejected then

  std::string text() const;  ///< one line for tables
};
FaultPlan make_plan(const std::string& kind, std::uint64_t seed);

/// What happened, and what of it must not have.
struct FaultRecord {
  FaultPlan plan;
  bool has_struck = false;  ///< else the job had ended, or never came to the place
  int code = -1, code_of_rest = -1;
  double seconds = 0, seconds_of_rest = 0;
  nlohmann::json ledger, ledger_of_rest;    ///< the summary's, where there is one
  nlohmann::json archive, archive_of_rest;  ///< {"state", "samples"}: what can be read
  nlohmann::json same_bits;                 ///< null: not asked for
  std::string named;                        ///< what the job said of it
  std::vector<std::string> violations;

  nlohmann::json to_json() const;
};

/// Makes the undisturbed jobs; throws when one fails.
void run_references();

/// Runs the plan in a folder of its own. May be called from several threads after run_references().
FaultRecord run_plan(const FaultPlan& plan);

}  // namespace tramontane::testing
