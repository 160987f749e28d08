/// Where the reports of a training by `train` go.
#pragma once

#include <memory>

#include "src/coupled/learning.hpp"
#include "src/program/commands.hpp"

namespace tramontane {

/// Writes the deck as resolved and opens metrics.jsonl: anew, or behind the step that the plan continues from. Collective;
/// nothing but on the root. Throws RunError.
std::unique_ptr<MetricsWriter> open_training_metrics(const CommandContext& context, const LearningPlan& plan);

}  // namespace tramontane
