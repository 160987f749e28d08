#include "src/coupled/coupled_run.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <filesystem>

#include "src/coupled/energy_meter.hpp"
#include "src/coupled/learner_side.hpp"
#include "src/coupled/model_handover.hpp"
#include "src/coupled/provenance.hpp"
#include "src/coupled/solver_side.hpp"
#include "src/coupled/stream_setup.hpp"
#include "src/coupled/teacher.hpp"
#include "src/exchange/solver_end.hpp"
#include "src/output/report.hpp"
#include "src/output/run_folder.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

namespace {

/// Metrics of solver and learner go to files of their own while both run, and are joined at the end.
std::string metrics_path(const Deck& deck, const char* part) {
  return deck.output.dir + "/metrics." + part + ".jsonl";
}

/// What the learner's job must know.
RunAnnouncement announcement_of(const Deck& deck) {
  RunAnnouncement run;
  run.run_id = run_id(deck);
  run.archive = std::filesystem::absolute(deck.stream.archive.value()).lexically_normal();
  run.output_dir = std::filesystem::absolute(deck.output.dir).lexically_normal();
  run.n = deck.grid.n;
  run.coarse_n = deck.surrogate.coarse_n;
  run.interval_seconds = deck.surrogate.interval;
  run.training = total_samples(deck, false);
  run.validation = total_samples(deck, true);
  return run;
}

/// Throws RunError when the counts of the two jobs do not fit.
ExchangeSummary close_exchange(SolverEnd& exchange, std::int64_t produced) {
  const ExchangeLedger ledger = exchange.ledger(produced);
  ExchangeSummary out;
  out.produced = ledger.produced;
  out.archived = ledger.archived;
  out.lost = ledger.lost;
  out.taken = ledger.taken;
  out.rejected = ledger.rejected;
  out.left = ledger.left;
  out.learners = exchange.learners_seen();
  out.refused = exchange.refused();
  const LearnerState learner = exchange.learner();
  out.partner = learner.is_done ? "done" : learner.is_lost ? learner.why : "at work";
  if (!ledger.closed())
    throw RunError(fmt::format("the ledger of the two jobs does not close: {}, of {} in the archive", to_string(ledger),
                               ledger.archived));
  spdlog::info("samples: {}{}", to_string(ledger),
               ledger.has_learner ? "" : " (no learner has told what it took)");
  if (ledger.lost > 0) spdlog::warn("{} samples are lost: the archive could not take them", ledger.lost);
  return out;
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
  const bool two_jobs = has_two_jobs(deck, Command::run);
  std::unique_ptr<SolverEnd> exchange;  // on the first rank
  collective_guard(context.world, [&] {
    if (two_jobs && context.is_root()) exchange = std::make_unique<SolverEnd>(deck, announcement_of(deck));
  });
  std::unique_ptr<SolverPair> pair;
  std::unique_ptr<ArchiveWriter> archive;
  collective_guard(context.world, [&] {
    if (learner) return;
    const Month first = deck.teach_months().front();
    pair = std::make_unique<SolverPair>(deck, role, first);
    pair->start(first);
    pair->fine().checked_rate();
    archive = make_archive(deck, role, pair->coarse().grid().tiling(), [&](ArchiveChange change, std::int64_t samples) {
      if (exchange) exchange->archive_changed(change, samples);
    });
  });
  std::unique_ptr<MetricsWriter> metrics;
  collective_guard(context.world, [&] {
    if (context.is_root()) write_resolved_deck(deck);
    if (context.is_root()) metrics = std::make_unique<MetricsWriter>(metrics_path(deck, "solver"));
    if (context.rank == context.ranks.first_learner()) metrics = std::make_unique<MetricsWriter>(metrics_path(deck, "learner"));
  });

  Summary summary;
  summary.command = "run";
  summary.version = TRAMONTANE_VERSION;
  summary.deck = deck.file;
  summary.solver_ranks = context.ranks.solvers;
  summary.learner_ranks = context.ranks.learners;
  double idle_seconds = 0;
  int whole = 1;
  if (two_jobs) {
    SolverSide solver(context, *pair, archive.get(), nullptr, exchange.get(), metrics.get());
    whole = solver.run(summary) ? 1 : 0;
    archive.reset();
    collective_guard(context.world, [&] {
      if (exchange) summary.exchange = close_exchange(*exchange, solver.samples());
    });
  } else {
    ModelHandover handover(context.world, context.ranks, deck.stream.deadline);
    if (learner) {
      summary.learner = learner_side(context, role, handover, metrics.get(), idle_seconds);
    } else {
      StreamProducer stream(context.world, stream_roles(context.ranks), pair->coarse().grid().tiling(),
                            stream_options(deck));
      SolverSide solver(context, *pair, archive.get(), &stream, context.is_root() ? &handover : nullptr, metrics.get());
      whole = solver.run(summary) ? 1 : 0;
    }
  }
  metrics.reset();
  archive.reset();
  pair.reset();
  if (!two_jobs) share_learner_summary(context, summary, idle_seconds);
  if (summary.gate && summary.learner) summary.learner->weights_version = static_cast<int>(summary.gate->version);
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
    if (exchange) exchange->finish(whole ? "done" : "stopped");
  });
  MPI_Comm_free(&role);
  return whole ? kExitDone : kExitStopped;
}

}  // namespace tramontane
