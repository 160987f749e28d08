// `tramontane train`: the coupled run's trainer, its samples from archives instead of a stream.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cmath>
#include <filesystem>

#include "src/coupled/coupled_run.hpp"
#include "src/coupled/energy_meter.hpp"
#include "src/coupled/learning.hpp"
#include "src/coupled/provenance.hpp"
#include "src/deck/duration.hpp"
#include "src/output/report.hpp"
#include "src/output/run_folder.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

int run_training(const CommandContext& context) {
  const Deck& deck = context.deck;
  const double began = MPI_Wtime();
  EnergyMeter energy;
  std::unique_ptr<ArchiveSource> source;
  std::unique_ptr<MetricsWriter> metrics;
  collective_guard(context.world, [&] {
    source = std::make_unique<ArchiveSource>(deck.learner.archives, context.rank, context.size);
    const std::string& archive = deck.learner.archives.front();
    if (source->n() != deck.surrogate.coarse_n)
      throw InputError(
          fmt::format("{}archive {} holds C{} but surrogate.coarse_n = {}: set surrogate.coarse_n={} or name another",
                      deck.where("surrogate.coarse_n"), archive, source->n(), deck.surrogate.coarse_n, source->n()));
    if (std::abs(source->interval_seconds() - deck.surrogate.interval) > 1e-6 * deck.surrogate.interval)
      throw InputError(fmt::format(
          "{}archive {} holds targets of an interval of {} but surrogate.interval = {}: set surrogate.interval={} or "
          "name another",
          deck.where("surrogate.interval"), archive, duration_text(source->interval_seconds()),
          duration_text(deck.surrogate.interval), duration_text(source->interval_seconds())));
    if (!context.is_root()) return;
    write_resolved_deck(deck);
    metrics = std::make_unique<MetricsWriter>(deck.output.dir + "/metrics.jsonl");
  });
  LearningPlan plan;
  plan.n = source->n();
  plan.interval = source->interval_seconds();
  plan.training = source->count(false);
  plan.validation = source->count(true);
  plan.provenance = training_provenance(deck, "train");
  const LearningOutcome outcome = learn(deck, plan, *source, context.world, metrics.get(), {});

  Summary summary;
  summary.command = "train";
  summary.version = TRAMONTANE_VERSION;
  summary.deck = deck.file;
  summary.learner_ranks = context.size;
  summary.learner = outcome.summary;
  collective_guard(context.world, [&] {
    if (!context.is_root()) return;
    outcome.model.save(std::filesystem::path(deck.output.dir) / deck.learner.model);
    summary.wall_seconds = MPI_Wtime() - began;
    summary.energy = energy.read();
    write_summary(deck.output.dir, summary);
    spdlog::info("trained {} steps in {:.0f} s: loss {:.4f} -> {:.4f}{}; model in {}/{}", summary.learner->steps,
                 summary.wall_seconds, summary.learner->loss_first, summary.learner->loss_last,
                 summary.learner->validation_loss
                     ? fmt::format(", {:.4f} on held-out months", *summary.learner->validation_loss)
                     : std::string(),
                 deck.output.dir, deck.learner.model);
    make_report(deck);
  });
  return outcome.summary.steps < deck.learner.steps ? kExitStopped : kExitDone;
}

}  // namespace tramontane
