/// What a learner tells of its reservoir: drift while it trains, figures for the summary.
#pragma once

#include <string>

#include "src/coupled/reservoir_batches.hpp"
#include "src/deck/deck.hpp"
#include "src/output/metrics.hpp"
#include "src/output/summary.hpp"

namespace tramontane {

/// Writes a "drift" line at each validation, and a warning when the drift passes learner.drift_warning: once until it
/// has fallen below it again. Call it on every learner; `metrics` on the first only. Both must live as long as
/// `batches`.
void watch_drift(const Deck& deck, ReservoirBatches& batches, MetricsWriter* metrics);

/// Memory, waits and drift.
void add_reservoir_figures(LearnerSummary& summary, const ReservoirBatches& batches);

/// Where a coupled run leaves the order in which its learners took samples in (delivery_record.hpp).
std::string deliveries_path(const Deck& deck);

}  // namespace tramontane
