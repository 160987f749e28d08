/// Seeded faults in coupled jobs: what is done to a job, what must hold afterwards, what happened.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "job.hpp"

namespace tramontane::testing {

/// The kinds of fault. Each name says who is hit by what.
const std::vector<std::string>& fault_kinds();

/// One disturbed job. A function of the seed and the kind alone.
struct FaultPlan {
  std::string kind;
  std::uint64_t seed = 0;
  int solvers = 1, learners = 1;
  std::string orders;        ///< TRAMONTANE_FAULT
  std::string settings;      ///< further --set options
  int signal = 0;            ///< sent from outside to `target` after `moment` seconds of teaching; 0: none
  int target = -1;           ///< rank, or -1 for all
  double moment = 0;         ///< s after the first sign that the job is under way
  long file_limit_kb = 0;    ///< largest file that the job may write; 0: no limit
  bool damages_snapshot = false;  ///< a bit of the newest snapshot is flipped before the job goes on
  std::vector<int> codes;    ///< exit codes that are right
  bool goes_on = false;      ///< the job is started again with checkpoint.resume=auto and must end well
  bool same_bits = false;    ///< in the end model and forecasts are those of the undisturbed job

  std::string text() const;  ///< one line for tables
};
FaultPlan make_plan(const std::string& kind, std::uint64_t seed);

/// What happened, and what of it must not have.
struct FaultRecord {
  FaultPlan plan;
  int code = -1, code_of_rest = -1;
  double seconds = 0;
  nlohmann::json ledger, ledger_of_rest;
  std::vector<std::string> violations;

  nlohmann::json to_json() const;
};

/// Runs the plan in a folder of its own.
FaultRecord run_plan(const FaultPlan& plan);

}  // namespace tramontane::testing
