#include "src/coupled/learner_side.hpp"

#include <spdlog/spdlog.h>

#include <chrono>
#include <stdexcept>
#include <thread>
#include <utility>

#include "kernels/communicator.hpp"
#include "kernels/fault_injection.hpp"
#include "kernels/wait_scope.hpp"
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

/// Samples that may stay where a solver rank writes them: all that a learner rank has room for, but for those that a
/// continued run brings along.
int samples_to_keep(const Deck& deck, MPI_Comm learners, const LearnerPast* past) {
  const std::size_t planned =
      ReservoirBatches::planned_samples(deck, total_samples(deck, false), total_samples(deck, true), size_of(learners));
  std::size_t brought = 0;
  if (past) {
    const ReservoirState& stored = past->batches.reservoir;
    brought = stored.training.size() + stored.validation.size() + past->batches.waiting.size();
  }
  return static_cast<int>(planned - std::min(planned, brought));
}

/// Trains on what the consumer takes in; null: the stream had come to its end before the run was continued.
/// `close_stream` ends the consumer's side, once.
LearnerSummary learn_from_stream(const CommandContext& context, MPI_Comm learners, ModelHandover& handover,
                                 StreamConsumer* consumer, const std::function<void()>& close_stream,
                                 MetricsWriter* metrics, LearnerSnapshots* snapshots, std::unique_ptr<LearnerPast> past,
                                 double& idle_seconds) {
  const Deck& deck = context.deck;
  std::function<bool()> is_ordered;
  if (snapshots) is_ordered = [&] { return snapshots->is_ordered(); };
  std::unique_ptr<SampleSource> source = std::make_unique<EndedSource>();
  if (consumer) source = std::make_unique<StreamSource>(*consumer, is_ordered);
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
  ReservoirBatches batches(deck, *source, plan.steps, total_samples(deck, false), total_samples(deck, true),
                           surrogate_statics(plan.n).area, learners, metrics != nullptr, close_stream);
  watch_drift(deck, batches, metrics);
  const double idle_before = past ? past->idle_seconds : 0;
  const auto idle = [&] { return idle_seconds = idle_before + (consumer ? consumer->idle_seconds() : 0); };
  idle();
  if (past) {
    batches.restore(past->batches);
    plan.resumed = std::move(past->training);
    maker.restore(std::move(past->candidates));
    past.reset();
  }
  if (snapshots) {
    batches.set_break(is_ordered);
    hooks.broken_off = [&](const std::optional<TrainingCheckpoint>& training) {
      return snapshots->serve(batches, maker, training, idle());
    };
  }
  if (first)
    spdlog::info("a learner rank holds {} for samples{} and {} of receive buffers", bytes_text(batches.pool_bytes()),
                 consumer && consumer->keeps_samples()
                     ? fmt::format(", with {} of shared memory in which they stay where the solver rank writes them,",
                                   bytes_text(static_cast<double>(consumer->kept_bytes())))
                     : "",
                 bytes_text(consumer ? consumer->buffer_bytes() : 0));
  if (first && consumer && !consumer->why_not_kept().empty())
    spdlog::warn("samples of the stream are copied, not kept where the solver rank writes them: {}",
                 consumer->why_not_kept());
  LearningOutcome outcome = learn(deck, plan, batches, learners, metrics, hooks);
  idle();
  LearnerSummary summary = outcome.summary;
  add_reservoir_figures(summary, batches);
  summary.receive_bytes = static_cast<std::int64_t>(consumer ? consumer->buffer_bytes() : 0);
  if (snapshots && snapshots->is_stopped()) return summary;
  // Training is over; while the weights are on their way, and until the solver ranks have done, snapshots may be asked
  // for.
  const auto serve = [&] {
    return !(snapshots && snapshots->is_ordered() &&
             snapshots->serve(batches, maker, outcome.last_state, idle_seconds));
  };
  handover.set_meanwhile(serve);
  maker.offer_last(std::move(outcome.model));
  if (snapshots) {
    // The solver ranks run forecasts, which may be long.
    const WaitScope wait("the solver ranks to end the run", context.world, 0);
    while (serve() && !snapshots->is_over()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  handover.set_meanwhile({});
  // The learners part from the loop above together: with the last word, or with the snapshot that ends the run.
  if (!(snapshots && snapshots->is_stopped())) write_deliveries(deliveries_path(deck), batches.deliveries(), learners);
  return summary;
}

}  // namespace

LearnerSummary learner_side(const CommandContext& context, MPI_Comm learners, ModelHandover& handover,
                            MetricsWriter* metrics, double& idle_seconds, LearnerSnapshots* snapshots,
                            const RunSnapshot* continued, std::unique_ptr<LearnerPast> past) {
  const Deck& deck = context.deck;
  const Tiling tiling(deck.surrogate.coarse_n, deck.grid.tiles_per_edge, context.ranks.solvers);
  std::unique_ptr<StreamConsumer> consumer;
  if (!continued || !continued->lessons_done) {
    StreamOptions options = stream_options(deck, continued);
    options.keep = samples_to_keep(deck, learners, past.get());
    consumer = std::make_unique<StreamConsumer>(context.world, stream_roles(context.ranks), tiling, options);
  }
  bool is_closed = !consumer;
  const auto close_stream = [&] {
    if (!std::exchange(is_closed, true)) consumer->finish();
  };
  LearnerSummary summary;
  try {
    summary = learn_from_stream(context, learners, handover, consumer.get(), close_stream, metrics, snapshots,
                                std::move(past), idle_seconds);
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
  return summary;
}

}  // namespace tramontane
