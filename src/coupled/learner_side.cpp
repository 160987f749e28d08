#include "src/coupled/learner_side.hpp"

#include <spdlog/spdlog.h>

#include "src/coupled/candidate_maker.hpp"
#include "src/coupled/learning.hpp"
#include "src/coupled/provenance.hpp"
#include "src/coupled/reservoir_batches.hpp"
#include "src/coupled/reservoir_report.hpp"
#include "src/coupled/stream_setup.hpp"
#include "src/coupled/teacher.hpp"
#include "src/program/estimate.hpp"
#include "src/stream/stream_consumer.hpp"

namespace tramontane {

LearnerSummary learner_side(const CommandContext& context, MPI_Comm learners, ModelHandover& handover,
                            MetricsWriter* metrics, double& idle_seconds) {
  const Deck& deck = context.deck;
  const Tiling tiling(deck.surrogate.coarse_n, deck.grid.tiles_per_edge, context.ranks.solvers);
  StreamConsumer consumer(context.world, stream_roles(context.ranks), tiling, stream_options(deck));
  StreamSource source(consumer);
  LearningPlan plan;
  plan.n = deck.surrogate.coarse_n;
  plan.interval = deck.surrogate.interval;
  plan.steps = deck.learner.steps;
  plan.provenance = training_provenance(deck, "run");
  const bool first = context.rank == context.ranks.first_learner();
  CandidateMaker maker(deck, plan.steps, first ? &handover : nullptr);
  LearningHooks hooks;
  hooks.after_step = [&](std::int64_t step) {
    if (first) handover.beat(step);
  };
  hooks.validation_due = [&](std::int64_t step) { return maker.is_due(step); };
  hooks.validated = [&](std::int64_t step, const ValidationReport& report, const std::function<Model()>& make) {
    maker.validated(step, report, make);
  };
  ReservoirBatches batches(deck, source, plan.steps, total_samples(deck, false), total_samples(deck, true),
                           surrogate_statics(plan.n).area, learners, metrics != nullptr, [&] { consumer.finish(); });
  watch_drift(deck, batches, metrics);
  if (first)
    spdlog::info("a learner rank holds {} for samples and {} of receive buffers", bytes_text(batches.pool_bytes()),
                 bytes_text(consumer.buffer_bytes()));
  LearningOutcome outcome = learn(deck, plan, batches, learners, metrics, hooks);
  idle_seconds = consumer.idle_seconds();
  write_deliveries(deliveries_path(deck), batches.deliveries(), learners);
  maker.offer_last(std::move(outcome.model));
  LearnerSummary summary = outcome.summary;
  add_reservoir_figures(summary, batches);
  summary.receive_bytes = static_cast<std::int64_t>(consumer.buffer_bytes());
  return summary;
}

}  // namespace tramontane
