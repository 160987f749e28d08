#include "src/coupled/learner_side.hpp"

#include <spdlog/spdlog.h>

#include <stdexcept>
#include <utility>

#include "kernels/fault_injection.hpp"
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

namespace {

/// Trains on what the consumer takes in. `close_stream` ends the consumer's side, once.
LearnerSummary learn_from_stream(const CommandContext& context, MPI_Comm learners, ModelHandover& handover,
                                 StreamConsumer& consumer, const std::function<void()>& close_stream,
                                 MetricsWriter* metrics) {
  const Deck& deck = context.deck;
  StreamSource source(consumer);
  LearningPlan plan;
  plan.n = deck.surrogate.coarse_n;
  plan.interval = deck.surrogate.interval;
  plan.steps = deck.learner.steps;
  plan.provenance = training_provenance(deck, "run");
  plan.contains_bad_steps = true;
  const bool first = context.rank == context.ranks.first_learner();
  CandidateMaker maker(deck, plan.steps, first ? &handover : nullptr);
  LearningHooks hooks;
  hooks.after_step = [&](std::int64_t step) {
    if (first) handover.beat(step);
    if (fault_at("learner", step) == Fault::fail) throw std::runtime_error("a fault that was ordered");
  };
  hooks.validation_due = [&](std::int64_t step) { return maker.is_due(step); };
  hooks.validated = [&](std::int64_t step, const ValidationReport& report, const std::function<Model()>& make) {
    maker.validated(step, report, make);
  };
  ReservoirBatches batches(deck, source, plan.steps, total_samples(deck, false), total_samples(deck, true),
                           surrogate_statics(plan.n).area, learners, metrics != nullptr, close_stream);
  watch_drift(deck, batches, metrics);
  if (first)
    spdlog::info("a learner rank holds {} for samples and {} of receive buffers", bytes_text(batches.pool_bytes()),
                 bytes_text(consumer.buffer_bytes()));
  LearningOutcome outcome = learn(deck, plan, batches, learners, metrics, hooks);
  write_deliveries(deliveries_path(deck), batches.deliveries(), learners);
  maker.offer_last(std::move(outcome.model));
  LearnerSummary summary = outcome.summary;
  add_reservoir_figures(summary, batches);
  summary.receive_bytes = static_cast<std::int64_t>(consumer.buffer_bytes());
  return summary;
}

}  // namespace

LearnerSummary learner_side(const CommandContext& context, MPI_Comm learners, ModelHandover& handover,
                            MetricsWriter* metrics, double& idle_seconds) {
  const Deck& deck = context.deck;
  const Tiling tiling(deck.surrogate.coarse_n, deck.grid.tiles_per_edge, context.ranks.solvers);
  StreamConsumer consumer(context.world, stream_roles(context.ranks), tiling, stream_options(deck));
  bool is_closed = false;
  const auto close_stream = [&] {
    if (!std::exchange(is_closed, true)) consumer.finish();
  };
  LearnerSummary summary;
  try {
    summary = learn_from_stream(context, learners, handover, consumer, close_stream, metrics);
  } catch (const InputError&) {
    throw;  // the deck or an input is wrong: not a loss, and not to be run past
  } catch (const std::exception& error) {
    if (deck.learner.when_lost == WhenLost::stop) throw;
    handover.give_up(error.what());
    try {
      close_stream();  // what still comes is taken and counted as unread
    } catch (const RunError&) {
      // Another learner rank does not take part in that; the solver ranks close the ledger by themselves.
    }
  }
  idle_seconds = consumer.idle_seconds();
  return summary;
}

}  // namespace tramontane
