#include "src/coupled/coupled_run.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <thread>

#include "src/coupled/energy_meter.hpp"
#include "src/coupled/learner_side.hpp"
#include "src/coupled/model_handover.hpp"
#include "src/coupled/provenance.hpp"
#include "src/coupled/run_snapshot_learner.hpp"
#include "src/coupled/run_snapshot_resume.hpp"
#include "src/coupled/run_snapshot_solver.hpp"
#include "src/coupled/solver_side.hpp"
#include "src/coupled/stream_setup.hpp"
#include "src/coupled/teacher.hpp"
#include "src/exchange/solver_end.hpp"
#include "src/output/report.hpp"
#include "src/output/run_folder.hpp"
#include "src/program/collective_guard.hpp"
#include "src/program/watchdog.hpp"

namespace tramontane {

namespace {

/// s; for learner processes of a lost learner to come to the end, if they can.
constexpr double kLostSeconds = 5;

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

/// Brings the ends of a run together when every rank is there for it; else the solver ranks alone, the learner's figures
/// being unknown but for what it said.
/// @param why_not_saved of the snapshot that a signal asked for; "" when it was
void write_reports(const CommandContext& context, MPI_Comm together, bool whole, double began, EnergyMeter& energy,
                   Summary& summary, SolverEnd* exchange, const std::string& why_not_saved = "") {
  const Deck& deck = context.deck;
  collective_guard(together, [&] {
    if (!context.is_root()) return;
    join_metrics({metrics_path(deck, "solver"), metrics_path(deck, "learner")}, deck.output.dir + "/metrics.jsonl");
    summary.wall_seconds = MPI_Wtime() - began;
    summary.energy = energy.read();
    write_summary(deck.output.dir, summary);
    const bool is_cut = !whole && summary.snapshots;  // a snapshot has it all, or there is no model either
    if (!is_cut) make_report(deck);
    check_conservation(*summary.solver);
    spdlog::info("{} after {:.0f} s; summary in {}/summary.json", whole ? "done" : "stopped by a signal",
                 summary.wall_seconds, deck.output.dir);
    if (exchange) exchange->finish(whole ? "done" : "stopped");
    if (!is_cut) return;
    const std::string last = summary.snapshots->last;
    if (!why_not_saved.empty())
      throw RunError(fmt::format("the run was asked to stop, and its snapshot could not be written: {}{}", why_not_saved,
                                 last.empty() ? std::string() : "; the last good one is " + last));
    spdlog::info("the snapshot is {}; run the same command with --set checkpoint.resume=auto to continue", last);
  });
}

/// Ends the job from the solver ranks, which have written everything, while a learner process is dead or hangs and
/// would never come to MPI_Finalize. Open MPI then ends what is left of the job, and mpirun returns the code, zero
/// included (docs/design/weights.md).
[[noreturn]] void end_without_learners(const CommandContext& context, MPI_Comm solvers, ModelHandover* handover, int code) {
  MPI_Barrier(solvers);
  std::fflush(nullptr);
  if (context.is_root()) {
    spdlog::warn("MPI ends the learner's processes now, which can not end by themselves");
    handover->kill_stragglers();
    MPI_Abort(MPI_COMM_WORLD, code);
  }
  // The end comes from outside.
  std::this_thread::sleep_for(std::chrono::seconds(60));
  _exit(code);
}

}  // namespace

int run_coupled(const CommandContext& context) {
  const Deck& deck = context.deck;
  const double began = MPI_Wtime();
  EnergyMeter energy;
  const bool learner = context.ranks.is_learner(context.rank);
  MPI_Comm role = MPI_COMM_NULL;
  MPI_Comm_split(context.world, learner ? 1 : 0, context.rank, &role);
  std::optional<RunPast> past = find_past(context);
  const RunSnapshot* const continued = past ? &past->snapshot : nullptr;
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
    const auto told = [&](ArchiveChange change, std::int64_t samples) {
      if (exchange) exchange->archive_changed(change, samples);
    };
    archive = make_archive(deck, role, pair->coarse().grid().tiling(), told, continued);
  });
  std::unique_ptr<MetricsWriter> metrics;
  collective_guard(context.world, [&] {
    if (context.is_root()) write_resolved_deck(deck);
    const auto open = [&](const char* part, const std::string* before) {
      if (before) write_whole_file(metrics_path(deck, part), *before);
      metrics = std::make_unique<MetricsWriter>(metrics_path(deck, part), before != nullptr);
    };
    if (context.is_root()) open("solver", continued ? &continued->metrics : nullptr);
    if (context.rank == context.ranks.first_learner()) open("learner", past ? &past->learner->metrics : nullptr);
  });

  Summary summary;
  summary.command = "run";
  summary.version = TRAMONTANE_VERSION;
  summary.deck = deck.file;
  summary.solver_ranks = context.ranks.solvers;
  summary.learner_ranks = context.ranks.learners;
  double idle_seconds = 0;
  int whole = 1;
  std::string why_not_saved;  // when a signal ended the run
  if (two_jobs) {
    SolverSide solver(context, *pair, archive.get(), nullptr, exchange.get(), metrics.get());
    whole = solver.run(summary) ? 1 : 0;
    archive.reset();
    collective_guard(context.world, [&] {
      if (exchange) summary.exchange = close_exchange(*exchange, solver.samples());
    });
  } else {
    ModelHandover handover(context.world, context.ranks, deck.stream.deadline);
    if (watchdog() && deck.learner.when_lost == WhenLost::go_on) {
      std::vector<int> contained;
      for (int rank = 0; rank < context.ranks.total(); ++rank)
        if (context.ranks.is_learner(rank)) contained.push_back(rank);
      watchdog()->contain(contained);
    }
    std::unique_ptr<SnapshotLink> link;
    if (deck.takes_snapshots()) link = std::make_unique<SnapshotLink>(context.world, context.ranks);
    if (learner) {
      std::unique_ptr<LearnerSnapshots> snapshots;
      if (link)
        snapshots = std::make_unique<LearnerSnapshots>(context, role, *link, metrics_path(deck, "learner"),
                                                       past ? past->learner.get() : nullptr, past ? past->path : "");
      summary.learner = learner_side(context, role, handover, metrics.get(), idle_seconds, snapshots.get(), continued,
                                     past ? std::move(past->learner) : nullptr);
      handover.await_end();
    } else {
      std::unique_ptr<StreamProducer> stream;
      if (!continued || !continued->lessons_done)
        stream = std::make_unique<StreamProducer>(context.world, stream_roles(context.ranks),
                                                  pair->coarse().grid().tiling(), stream_options(deck, continued));
      SolverSide solver(context, *pair, archive.get(), stream.get(), context.is_root() ? &handover : nullptr,
                        metrics.get());
      std::unique_ptr<SolverSnapshots> snapshots;
      if (link) {
        snapshots = std::make_unique<SolverSnapshots>(context, *pair, *link, metrics_path(deck, "solver"), continued,
                                                      past ? past->path : "");
        solver.set_snapshots(snapshots.get(), past ? &*past : nullptr);
      }
      whole = solver.run(summary) ? 1 : 0;
      if (snapshots) {
        snapshots->end();
        summary.snapshots = snapshots->summary();
        if (!whole) why_not_saved = snapshots->failure();
      }
      // A lost learner may have come to its senses since; it is not waited for.
      const double patience = summary.gate->learner_lost.empty() ? deck.stream.deadline : kLostSeconds;
      int together = context.is_root() && handover.end_together(patience) ? 1 : 0;
      MPI_Bcast(&together, 1, MPI_INT, 0, role);
      if (!together) {
        metrics.reset();
        LearnerSummary& learner_summary = summary.learner.emplace();
        learner_summary.weights_version = static_cast<int>(summary.gate->version);
        learner_summary.steps = handover.learner().step;
        write_reports(context, role, whole != 0, began, energy, summary, nullptr, why_not_saved);
        end_without_learners(context, role, &handover, whole ? kExitDone : kExitStopped);
      }
    }
  }
  metrics.reset();
  archive.reset();
  pair.reset();
  if (!two_jobs) share_learner_summary(context, summary, idle_seconds);
  if (summary.gate && summary.learner) summary.learner->weights_version = static_cast<int>(summary.gate->version);
  MPI_Bcast(&whole, 1, MPI_INT, 0, context.world);
  write_reports(context, context.world, whole != 0, began, energy, summary, exchange.get(), why_not_saved);
  MPI_Comm_free(&role);
  return whole ? kExitDone : kExitStopped;
}

}  // namespace tramontane
