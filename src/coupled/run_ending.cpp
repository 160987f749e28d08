#include "src/coupled/run_ending.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "src/coupled/provenance.hpp"
#include "src/coupled/solver_report.hpp"
#include "src/output/report.hpp"
#include "src/output/run_folder.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

std::string metrics_path(const Deck& deck, const char* part) {
  return deck.output.dir + "/metrics." + part + ".jsonl";
}

void write_reports(const CommandContext& context, MPI_Comm together, const RunEnding& ending, EnergyMeter& energy,
                   Summary& summary, SolverEnd* exchange) {
  const Deck& deck = context.deck;
  collective_guard(together, [&] {
    if (!context.is_root()) return;
    join_metrics({metrics_path(deck, "solver"), metrics_path(deck, "learner")}, deck.output.dir + "/metrics.jsonl");
    summary.wall_seconds = MPI_Wtime() - ending.began;
    summary.energy = energy.read();
    write_summary(deck.output.dir, summary);
    const bool is_cut = !ending.whole && summary.snapshots;  // a snapshot has it all, or there is no model either
    if (!is_cut) make_report(deck);
    check_conservation(*summary.solver);
    spdlog::info("{} after {:.0f} s; summary in {}/summary.json", ending.whole ? "done" : "stopped by a signal",
                 summary.wall_seconds, deck.output.dir);
    if (exchange) exchange->finish(ending.whole ? "done" : is_cut && ending.why_not_saved.empty() ? "paused" : "stopped");
    if (!is_cut) return;
    const std::string last = summary.snapshots->last;
    if (!ending.why_not_saved.empty())
      throw RunError(fmt::format("the run was asked to stop, and its snapshot could not be written: {}{}", ending.why_not_saved,
                                 last.empty() ? std::string() : "; the last good one is " + last));
    spdlog::info("the snapshot is {}; run the same command with --set checkpoint.resume=auto to continue", last);
  });
}

void end_without_learners(const CommandContext& context, MPI_Comm solvers, ModelHandover& handover, int code) {
  MPI_Barrier(solvers);
  std::fflush(nullptr);
  if (context.is_root()) {
    spdlog::warn("MPI ends the learner's processes now, which can not end by themselves");
    handover.kill_stragglers();
    MPI_Abort(MPI_COMM_WORLD, code);
  }
  // The end comes from outside.
  std::this_thread::sleep_for(std::chrono::seconds(60));
  _exit(code);
}

}  // namespace tramontane
