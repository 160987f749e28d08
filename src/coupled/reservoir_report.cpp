#include "src/coupled/reservoir_report.hpp"

#include <spdlog/spdlog.h>

namespace tramontane {

void watch_drift(const Deck& deck, ReservoirBatches& batches, MetricsWriter* metrics) {
  batches.watch_drift([&deck, metrics, warned = false](const DriftReport& report) mutable {
    if (metrics == nullptr) return;
    metrics->write("drift", {{"step", report.step},
                             {"samples", report.samples},
                             {"against_normaliser", report.against_normaliser},
                             {"against_reservoir", report.against_reservoir},
                             {"channel", report.channel}});
    const bool is_far = report.against_normaliser > deck.learner.drift_warning;
    if (is_far && !warned)
      spdlog::warn(
          "the samples that arrive have drifted from those that the network was scaled by: {:.2f} standard deviations "
          "in {} at step {} (learner.drift_warning = {:g}); a larger learner.watermark, or months in another order, "
          "would scale it by more of them",
          report.against_normaliser, report.channel, report.step, deck.learner.drift_warning);
    warned = is_far;
  });
}

void add_reservoir_figures(LearnerSummary& summary, const ReservoirBatches& batches) {
  summary.reservoir_bytes = static_cast<std::int64_t>(batches.pool_bytes());
  summary.peer_wait_seconds = batches.peer_wait_seconds();
  const DriftReport& drift = batches.greatest_drift();
  if (drift.samples < 0) return;
  summary.drift = drift.against_normaliser;
  summary.drift_step = drift.step;
}

std::string deliveries_path(const Deck& deck) {
  return deck.output.dir + "/deliveries.csv";
}

}  // namespace tramontane
