/// Which step of a training belongs to which stage of the fine-tuning with rollouts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace tramontane {

/// Steps on single intervals first, then stages of equally many steps. Steps are counted from 1.
struct RolloutSchedule {
  std::int64_t one_step = 0;     ///< steps on single intervals
  std::vector<int> stages;       ///< coupling intervals of each stage's rollouts; empty: no fine-tuning
  std::int64_t stage_steps = 0;  ///< steps of each stage

  std::int64_t tuning_steps() const { return static_cast<std::int64_t>(stages.size()) * stage_steps; }
  std::int64_t steps() const { return one_step + tuning_steps(); }
  bool is_tuning(std::int64_t step) const { return !stages.empty() && step > one_step; }
  /// Whether the fine-tuning begins when that many steps are done.
  bool begins_after(std::int64_t done) const { return !stages.empty() && done == one_step; }
  /// Of a step of the fine-tuning, counted from 0.
  std::size_t stage_of(std::int64_t step) const { return static_cast<std::size_t>((step - one_step - 1) / stage_steps); }
  /// Steps of its stage before it.
  std::int64_t within_stage(std::int64_t step) const { return (step - one_step - 1) % stage_steps; }
  /// Coupling intervals that a step's samples were rolled out over.
  int intervals(std::int64_t step) const { return is_tuning(step) ? stages[stage_of(step)] : 1; }
  int longest() const { return stages.empty() ? 1 : *std::max_element(stages.begin(), stages.end()); }
};

}  // namespace tramontane
