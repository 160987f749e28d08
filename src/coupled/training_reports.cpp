#include "src/coupled/training_reports.hpp"

#include "src/output/continued_file.hpp"
#include "src/output/run_folder.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

std::unique_ptr<MetricsWriter> open_training_metrics(const CommandContext& context, const LearningPlan& plan) {
  std::unique_ptr<MetricsWriter> metrics;
  collective_guard(context.world, [&] {
    if (!context.is_root()) return;
    write_resolved_deck(context.deck);
    const std::string path = context.deck.output.dir + "/metrics.jsonl";
    if (plan.resumed) cut_metrics(path, static_cast<double>(plan.resumed->optimiser.step), "step");
    metrics = std::make_unique<MetricsWriter>(path, plan.resumed.has_value());
  });
  return metrics;
}

}  // namespace tramontane
