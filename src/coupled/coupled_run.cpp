#include "src/coupled/coupled_run.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <filesystem>

#include "src/archive/archive_writer.hpp"
#include "src/coupled/energy_meter.hpp"
#include "src/coupled/forecast_report.hpp"
#include "src/coupled/hybrid.hpp"
#include "src/coupled/learning.hpp"
#include "src/coupled/model_handover.hpp"
#include "src/coupled/provenance.hpp"
#include "src/coupled/reservoir_batches.hpp"
#include "src/coupled/solver_report.hpp"
#include "src/coupled/teacher.hpp"
#include "src/output/cf_grid.hpp"
#include "src/output/report.hpp"
#include "src/output/run_folder.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

namespace {

StreamOptions stream_options(const Deck& deck) {
  StreamOptions options;
  options.queue = deck.stream.queue;
  options.credits = std::min(options.credits, options.queue);
  options.when_full = deck.stream.when_full;
  options.deadline_seconds = deck.stream.deadline;
  options.run_id = run_id(deck);
  return options;
}

StreamRoles stream_roles(const RankLayout& layout) {
  StreamRoles roles;
  for (int rank = 0; rank < layout.total(); ++rank)
    (layout.is_learner(rank) ? roles.learners : roles.solvers).push_back(rank);
  return roles;
}

StreamSummary stream_summary(const Ledger& ledger) {
  StreamSummary out;
  out.produced = ledger.produced;
  out.delivered = ledger.delivered;
  out.dropped = ledger.dropped;
  out.in_flight = ledger.in_flight;
  out.rejected = ledger.rejected;
  out.bytes = ledger.bytes;
  return out;
}

std::unique_ptr<ArchiveWriter> make_archive(const Deck& deck, MPI_Comm solvers, const Tiling& tiling) {
  if (!deck.stream.archive) return nullptr;
  ArchiveMeta meta;
  meta.interval_seconds = deck.surrogate.interval;
  meta.code_version = TRAMONTANE_VERSION;
  meta.run_id = run_id(deck);
  meta.source = fmt::format("winds, C{} taught to C{}", deck.grid.n, deck.surrogate.coarse_n);
  const CfGrid grid = cubed_sphere_cf_grid(tiling.n);
  meta.lon = grid.lon;
  meta.lat = grid.lat;
  meta.cell_area = grid.area;
  return std::make_unique<ArchiveWriter>(*deck.stream.archive, solvers, tiling, meta);
}

/// What the solver ranks do, in order: stream lessons, run reference forecasts while the learner trains, take the
/// model, run the hybrid, score. Fills in the solver's, the stream's and the forecast's groups of the summary.
class SolverSide {
 public:
  SolverSide(const CommandContext& context, SolverPair& pair, ArchiveWriter* archive, ModelHandover& handover,
             MetricsWriter* metrics)
      : context_(context),
        deck_(context.deck),
        pair_(pair),
        archive_(archive),
        handover_(handover),
        metrics_(metrics) {}

  /// Returns false when a signal ended it early: then there are no forecasts.
  bool run(Summary& summary) {
    const Tiling& tiling = pair_.coarse().grid().tiling();
    StreamProducer producer(context_.world, stream_roles(context_.ranks), tiling, stream_options(deck_));
    stream_lessons(producer);
    const Ledger ledger = producer.finish();
    if (context_.is_root()) spdlog::info("stream closed: {}", to_string(ledger));
    summary.stream = stream_summary(ledger);
    summary.stream->producer_stall_seconds = producer.stall_seconds();

    Forecast forecast(deck_, pair_);
    const auto listen = [&] { handover_.listen(); };
    bool whole = forecast.run_references(context_.is_root(), listen);
    watch_.include(forecast.budget_watch());
    const Model model = handover_.receive([](std::int64_t step) { spdlog::info("the learner is at step {}", step); });
    HybridCorrection correction(deck_, model, pair_);
    whole =
        whole && forecast.run_hybrid([&](const CellFields& coarse) { return correction(coarse); }, context_.is_root());
    summary.solver = solver_summary(pair_.fine(), watch_);
    if (!whole) return false;
    write_forecasts(deck_, "run", pair_, forecast);
    summary.forecast = report_scores(pair_, forecast, metrics_);
    const double clamped = correction.clamped_fraction();
    if (context_.is_root()) spdlog::info("{:.2e} of the corrections met their bounds", clamped);
    return true;
  }

 private:
  void stream_lessons(StreamProducer& producer) {
    std::vector<const float*> payload;
    TeachHooks hooks;
    hooks.started = [&](int) { watch_.start(pair_.fine()); };
    hooks.deliver = [&](const SampleTiles& sample) {
      payload.clear();
      for (const auto& variable : sample.variables) payload.push_back(variable.data());
      producer.push(sample.info, payload);
      if (archive_) archive_sample(sample.info, payload);
    };
    hooks.between = [&] { producer.progress(); };
    hooks.finished = [&](int lesson) { report_lesson(lesson); };
    teach(deck_, pair_, hooks, context_.is_root());
    if (archive_ && !archive_->failed()) archive_->close();
  }

  void report_lesson(int lesson) {
    const Budgets drift = watch_.drift(pair_.fine());
    if (metrics_)
      metrics_->write("solver", {{"lesson", lesson},
                                 {"lesson_seconds", pair_.fine().time()},
                                 {"steps", pair_.fine().effort().steps},
                                 {"mass_drift", drift.mass},
                                 {"energy_drift", drift.energy},
                                 {"enstrophy_drift", drift.potential_enstrophy},
                                 {"angular_momentum_drift", drift.angular_momentum},
                                 {"seconds", pair_.fine().effort().seconds}});
  }

  /// A full disk must not end the run: the loss is said, the stream goes on.
  void archive_sample(const SampleInfo& info, const std::vector<const float*>& payload) {
    if (archive_->failed()) return;
    try {
      archive_->append(info, payload);
    } catch (const RunError& error) {
      if (context_.is_root()) spdlog::error("the archive ends here, the run goes on: {}", error.what());
    }
  }

  const CommandContext& context_;
  const Deck& deck_;
  SolverPair& pair_;
  ArchiveWriter* archive_;  ///< none when the deck names none
  ModelHandover& handover_;
  MetricsWriter* metrics_;
  BudgetWatch watch_;
};

/// What the learner ranks do: take the stream in, train, send the model and save it.
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
  const bool first = context.rank == context.ranks.solvers;
  LearningHooks hooks;
  hooks.after_step = [&](std::int64_t step) {
    if (first) handover.beat(step);
  };
  ReservoirBatches batches(deck, source, plan.steps, total_samples(deck, false), total_samples(deck, true),
                           surrogate_statics(plan.n).area, learners, metrics != nullptr, [&] { consumer.finish(); });
  const LearningOutcome outcome = learn(deck, plan, batches, learners, metrics, hooks);
  idle_seconds = consumer.idle_seconds();
  if (first) {
    outcome.model.save(std::filesystem::path(deck.output.dir) / deck.learner.model);
    handover.send(outcome.model);
    save_as_onnx(deck, outcome.model);
  }
  return outcome.summary;
}

/// Metrics of solver and learner go to files of their own while both run, and are joined at the end.
std::string metrics_path(const Deck& deck, const char* part) {
  return deck.output.dir + "/metrics." + part + ".jsonl";
}

}  // namespace

int run_coupled(const CommandContext& context) {
  const Deck& deck = context.deck;
  const double began = MPI_Wtime();
  EnergyMeter energy;
  const bool learner = context.ranks.is_learner(context.rank);
  MPI_Comm role = MPI_COMM_NULL;
  MPI_Comm_split(context.world, learner ? 1 : 0, context.rank, &role);
  // What can be wrong with data, time step and archive is found here: before an earlier run's files are replaced, and
  // while the learners listen.
  std::unique_ptr<SolverPair> pair;
  std::unique_ptr<ArchiveWriter> archive;
  collective_guard(context.world, [&] {
    if (learner) return;
    const Month first = deck.teach_months().front();
    pair = std::make_unique<SolverPair>(deck, role, first);
    pair->start(first);
    pair->fine().checked_rate();
    archive = make_archive(deck, role, pair->coarse().grid().tiling());
  });
  std::unique_ptr<MetricsWriter> metrics;
  collective_guard(context.world, [&] {
    if (context.is_root()) write_resolved_deck(deck);
    if (context.is_root()) metrics = std::make_unique<MetricsWriter>(metrics_path(deck, "solver"));
    if (context.rank == context.ranks.solvers) metrics = std::make_unique<MetricsWriter>(metrics_path(deck, "learner"));
  });

  Summary summary;
  summary.command = "run";
  summary.version = TRAMONTANE_VERSION;
  summary.deck = deck.file;
  summary.solver_ranks = context.ranks.solvers;
  summary.learner_ranks = context.ranks.learners;
  double idle_seconds = 0;
  int whole = 1;
  {
    ModelHandover handover(context.world, context.ranks, learner ? MPI_COMM_NULL : role, deck.stream.deadline);
    if (learner)
      summary.learner = learner_side(context, role, handover, metrics.get(), idle_seconds);
    else
      whole = SolverSide(context, *pair, archive.get(), handover, metrics.get()).run(summary) ? 1 : 0;
  }
  metrics.reset();
  archive.reset();
  pair.reset();
  share_learner_summary(context, summary, idle_seconds);
  MPI_Bcast(&whole, 1, MPI_INT, 0, context.world);
  collective_guard(context.world, [&] {
    if (!context.is_root()) return;
    join_metrics({metrics_path(deck, "solver"), metrics_path(deck, "learner")}, deck.output.dir + "/metrics.jsonl");
    summary.wall_seconds = MPI_Wtime() - began;
    summary.energy = energy.read();
    write_summary(deck.output.dir, summary);
    make_report(deck);
    check_conservation(*summary.solver);
    spdlog::info("{} after {:.0f} s; summary in {}/summary.json", whole ? "done" : "stopped by a signal",
                 summary.wall_seconds, deck.output.dir);
  });
  MPI_Comm_free(&role);
  return whole ? kExitDone : kExitStopped;
}

}  // namespace tramontane
