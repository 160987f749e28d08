// `tramontane train`: the coupled run's trainer, its samples from archives instead of a stream.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "ml/onnx/model_import.hpp"
#include "src/checkpoint/training_store.hpp"
#include "src/coupled/coupled_run.hpp"
#include "src/coupled/energy_meter.hpp"
#include "src/coupled/epoch_batches.hpp"
#include "src/coupled/hybrid.hpp"
#include "src/coupled/learning.hpp"
#include "src/coupled/provenance.hpp"
#include "src/coupled/reservoir_batches.hpp"
#include "src/coupled/reservoir_report.hpp"
#include "src/coupled/rollout_batches.hpp"
#include "src/coupled/training_identity.hpp"
#include "src/coupled/training_reports.hpp"
#include "src/deck/duration.hpp"
#include "src/deck/keys.hpp"
#include "src/output/report.hpp"
#include "src/output/run_folder.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

namespace {

ArchiveSetOptions archive_options(const Deck& deck) {
  ArchiveSetOptions options;
  options.archives = deck.learner.archives;
  options.read_unfinished = deck.learner.unfinished == UnfinishedArchives::read;
  options.skip_bad = deck.learner.bad_samples == BadSamples::skip;
  options.held_out = *HeldOutRule::parse(deck.learner.validation);
  options.seed = static_cast<std::uint64_t>(deck.learner.seed);
  return options;
}

void require_fitting_archives(const Deck& deck, const ArchiveSet& archives) {
  if (archives.n() != deck.surrogate.coarse_n)
    throw InputError(
        fmt::format("{}archive {} holds C{} but surrogate.coarse_n = {}: set surrogate.coarse_n={} or name another",
                    deck.where("surrogate.coarse_n"), archives.first_path(), archives.n(), deck.surrogate.coarse_n,
                    archives.n()));
  if (std::abs(archives.interval_seconds() - deck.surrogate.interval) > 1e-6 * deck.surrogate.interval)
    throw InputError(fmt::format(
        "{}archive {} holds targets of an interval of {} but surrogate.interval = {}: set surrogate.interval={} or "
        "name another",
        deck.where("surrogate.interval"), archives.first_path(), duration_text(archives.interval_seconds()),
        duration_text(deck.surrogate.interval), duration_text(archives.interval_seconds())));
}

/// The model of --from. Its architecture is taken, so keys of the network that the user set must not say otherwise.
Model load_starting_model(const Deck& deck, const std::string& path, const LearningPlan& plan) {
  if (!std::filesystem::exists(path)) throw InputError(fmt::format("--from {}: there is no such file", path));
  Model model = load_any_model(path);
  try {
    require_fitting_model(deck, model);
  } catch (const InputError& error) {
    throw InputError(fmt::format("--from {}: {}", path, error.what()));
  }
  // A learner holds whole spheres, whatever tiles the model was saved with.
  model.network.tiles_per_edge = 1;
  const bool turns_vectors = !surrogate_statics(plan.n).axes.empty();
  if ((model.vector_frame == "panel") != turns_vectors)
    throw InputError(fmt::format("--from {}: the model takes vectors in {} components, and this program trains on those "
                                 "of the panels: name another",
                                 path, model.vector_frame));
  if (model.network == training_network(deck, plan)) return model;
  for (const Key& key : deck_keys())
    if (key.name.starts_with("surrogate.network.") && !deck.where(key.name).empty()) {
      const NetworkSpec& s = model.network;
      throw InputError(fmt::format(
          "{}--from {} is a {} of width {} with {} levels, and the deck's surrogate.network asks for another "
          "network: make it the same, or leave surrogate.network out",
          deck.where(key.name), path, s.type, s.width, s.levels));
    }
  return model;
}

/// Steps on single intervals.
std::int64_t one_step_steps(const Deck& deck, std::int64_t training_samples) {
  if (deck.learner.epochs == 0) return deck.learner.steps;
  const std::int64_t steps =
      (training_samples * deck.learner.epochs + deck.learner.batch - 1) / deck.learner.batch;
  if (deck.learner.warmup >= steps)
    throw InputError(fmt::format("{}learner.warmup = {} leaves nothing of the {} steps of learner.epochs = {} over {} "
                                 "samples: lower it, or train for more epochs",
                                 deck.where("learner.warmup"), deck.learner.warmup, steps, deck.learner.epochs,
                                 training_samples));
  return steps;
}

std::vector<std::string> texts_of(const std::set<int>& months) {
  std::vector<std::string> texts;
  for (const int month : months) texts.push_back(month_text(month));
  return texts;
}

/// Scales and distribution of the training samples, summed up in the blocks in which samples are checked: the same bits on any number of
/// ranks.
class BlockStatistics {
 public:
  explicit BlockStatistics(const ArchiveSet& archives)
      : block_samples_(archives.block_samples()),
        blocks_(archives.blocks()),
        area_(surrogate_statics(archives.n()).area),
        nowhere_(cell_positions(archives.n())) {}

  void add(const Sample& sample) {
    const std::int64_t block = sample.info.number / block_samples_;
    if (!mine_.count(block)) {
      mine_.emplace(block, empty());
      where_.emplace(block, nowhere_);
    }
    mine_.at(block).add(sample);
    where_.at(block).add(sample);
  }

  /// Collective.
  Normaliser finish(MPI_Comm comm, double deadline_seconds) const {
    NormaliserStatistics all = empty();
    for (std::int64_t block = 0; block < blocks_; ++block) {
      NormaliserStatistics one = mine_.count(block) ? mine_.at(block) : empty();
      one.reduce(comm, deadline_seconds);  // one rank has it, or none
      all.merge(one);
    }
    return all.finish(kBoundFactor);
  }
  /// Collective.
  TrainingDistribution distribution(MPI_Comm comm, double deadline_seconds) const {
    DistributionStatistics all = nowhere_;
    for (std::int64_t block = 0; block < blocks_; ++block) {
      DistributionStatistics one = where_.count(block) ? where_.at(block) : nowhere_;
      one.reduce(comm, deadline_seconds);
      all.merge(one);
    }
    return all.finish();
  }

 private:
  NormaliserStatistics empty() const {
    return {area_, static_cast<int>(sample_inputs().size()), static_cast<int>(sample_targets().size())};
  }

  std::int64_t block_samples_, blocks_;
  std::vector<double> area_;
  DistributionStatistics nowhere_;  ///< of no samples
  std::map<std::int64_t, NormaliserStatistics> mine_;
  std::map<std::int64_t, DistributionStatistics> where_;
};

/// One training, in order: check the archives, find a checkpoint, train, save.
class OfflineTraining {
 public:
  explicit OfflineTraining(const CommandContext& context) : context_(context), deck_(context.deck) {}

  int run() {
    if (!check_input()) {
      if (context_.is_root()) spdlog::info("stopped by a signal before training began: nothing was changed");
      return kExitStopped;
    }
    TrainingStore store(
        deck_, training_identity(deck_, plan_, archives_->size(), archives_->fingerprint(), context_.size), context_.world);
    plan_.resumed = store.find();
    // From here on files of an earlier run are replaced.
    store.open();
    metrics_ = open_training_metrics(context_, plan_);
    LearningHooks hooks;
    bool is_kept = true;
    hooks.checkpoint_due = [&] { return store.is_due(); };
    hooks.checkpoint = [&](TrainingCheckpoint checkpoint) { is_kept = store.write(std::move(checkpoint)); };
    const std::unique_ptr<SampleSource> source = make_source();
    const std::unique_ptr<BatchSource> batches = make_batches(*source);
    const LearningOutcome outcome = learn(deck_, plan_, *batches, context_.world, metrics_.get(), hooks);
    if (outcome.is_stopped && outcome.summary.steps < plan_.steps) {
      if (!is_kept)
        throw RunError("training was asked to stop, and its checkpoint could not be written (see the warning above)");
      report(outcome, "stopped by a signal");
      if (context_.is_root())
        spdlog::info("the checkpoint is {}; run the same command with --set learner.resume=auto to continue",
                     store.last());
      return kExitStopped;
    }
    report(outcome, outcome.summary.offline->stopped_early ? "stopped early" : "trained");
    return kExitDone;
  }

 private:
  /// Everything that can be wrong with the input, before anything is written. False when a signal came meanwhile.
  bool check_input() {
    std::unique_ptr<BlockStatistics> statistics;
    collective_guard(context_.world, [&] {
      archives_ = std::make_unique<ArchiveSet>(archive_options(deck_));
      require_fitting_archives(deck_, *archives_);
      plan_.n = archives_->n();
      plan_.interval = archives_->interval_seconds();
      if (context_.line.from) plan_.from = load_starting_model(deck_, *context_.line.from, plan_);
      if (deck_.learner.replay) record_ = read_deliveries(*deck_.learner.replay, context_.rank, context_.size);
      if (!plan_.from && deck_.learner.steps == 0 && deck_.learner.epochs == 0)
        throw InputError(deck_.where("learner.steps") +
                         "learner.steps = 0 would fine-tune an untrained network: give the model to begin with (--from), "
                         "or a number of steps");
      if (deck_.learner.order == SampleOrder::shuffled)
        statistics = std::make_unique<BlockStatistics>(*archives_);
    });
    const auto add = [&](const Sample& sample) {
      if (statistics) statistics->add(sample);
    };
    if (!archives_->check_samples(context_.world, add, true)) return false;
    plan_.keep_best = true;
    plan_.rollout.one_step = one_step_steps(deck_, static_cast<std::int64_t>(archives_->training().size()));
    plan_.rollout.stages = deck_.learner.rollout;
    plan_.rollout.stage_steps = deck_.learner.rollout_steps;
    plan_.steps = plan_.rollout.steps();
    double difference = 0;
    if (!plan_.rollout.stages.empty())
      collective_guard(context_.world, [&] { difference = require_rollouts(deck_, *archives_, plan_.rollout); });
    plan_.provenance = training_provenance(deck_, "train");
    nlohmann::ordered_json provenance = nlohmann::ordered_json::parse(plan_.provenance);
    provenance["months"] = texts_of(archives_->training_months());
    provenance["validation_months"] = texts_of(archives_->held_out_months());
    if (plan_.from)
      provenance["continued_from"] = {{"file", *context_.line.from}, {"training_step", plan_.from->training_step}};
    plan_.provenance = provenance.dump();
    if (statistics) distribution_ = statistics->distribution(context_.world, deck_.stream.deadline);
    if (plan_.from)
      normaliser_ = plan_.from->normaliser;
    else if (statistics)
      normaliser_ = statistics->finish(context_.world, deck_.stream.deadline);
    if (!context_.is_root()) return true;
    for (const std::string& note : archives_->findings().notes) spdlog::warn("{}", note);
    spdlog::info("{} samples of {} months to train on, {} of {} months held out", archives_->training().size(),
                 archives_->training_months().size(), archives_->held_out().size(),
                 archives_->held_out_months().size());
    if (!plan_.rollout.stages.empty())
      spdlog::info("the coarse solver teaches the archives' first samples again to {:.1g} of their targets", difference);
    return true;
  }

  std::unique_ptr<SampleSource> make_source() const {
    return std::make_unique<ArchiveSource>(*archives_, context_.rank, context_.size);
  }

  std::unique_ptr<BatchSource> make_batches(SampleSource& source) {
    if (deck_.learner.order == SampleOrder::shuffled) {
      auto one_step =
          std::make_unique<EpochBatches>(deck_, *archives_, plan_.rollout.one_step, normaliser_, distribution_,
                                                     context_.world);
      if (plan_.rollout.stages.empty()) return one_step;
      return std::make_unique<RolloutBatches>(deck_, *archives_, plan_.rollout, std::move(one_step), context_.world);
    }
    auto batches = std::make_unique<ReservoirBatches>(
        deck_, source, plan_.steps, static_cast<std::int64_t>(archives_->training().size()),
        static_cast<std::int64_t>(archives_->held_out().size()), surrogate_statics(plan_.n).area, context_.world,
        context_.is_root());
    watch_drift(deck_, *batches, metrics_.get());
    if (record_) batches->replay(*record_);
    reservoir_ = batches.get();
    return batches;
  }

  /// Saves the models and the summary.
  void report(const LearningOutcome& outcome, const std::string& how) {
    Summary summary;
    summary.command = "train";
    summary.version = TRAMONTANE_VERSION;
    summary.deck = deck_.file;
    summary.learner_ranks = context_.size;
    summary.learner = outcome.summary;
    if (reservoir_ != nullptr) add_reservoir_figures(*summary.learner, *reservoir_);
    OfflineSummary& offline = *summary.learner->offline;
    const auto training = static_cast<std::int64_t>(archives_->training().size());
    offline.training_samples = training;
    offline.validation_samples = static_cast<std::int64_t>(archives_->held_out().size());
    offline.epochs = static_cast<double>(outcome.summary.samples_seen) / static_cast<double>(training);
    offline.bad_samples = archives_->findings().bad;
    offline.duplicate_samples = archives_->findings().duplicates;
    collective_guard(context_.world, [&] {
      if (!context_.is_root()) return;
      const std::filesystem::path folder = deck_.output.dir;
      if (deck_.learner.order == SampleOrder::stream) {
        // This order is there to repeat a coupled run, which leaves the weights of its last step.
        outcome.model.save(folder / deck_.learner.model);
      } else {
        const std::filesystem::path name = deck_.learner.model;
        (outcome.best ? *outcome.best : outcome.model).save(folder / name);
        outcome.model.save(folder / (name.stem().string() + "-last" + name.extension().string()));
      }
      save_as_onnx(deck_, outcome.best ? *outcome.best : outcome.model);
      summary.wall_seconds = MPI_Wtime() - began_;
      summary.energy = energy_.read();
      write_summary(deck_.output.dir, summary);
      spdlog::info("{} after {} steps, {:.1f} epochs, {:.0f} s: loss {:.4f} -> {:.4f}{}; model in {}/{}", how,
                   summary.learner->steps, offline.epochs, summary.wall_seconds, summary.learner->loss_first,
                   summary.learner->loss_last,
                   offline.best_validation_loss
                       ? fmt::format(", on held-out months {:.4f}, best {:.4f} at step {}",
                                     *summary.learner->validation_loss, *offline.best_validation_loss,
                                     offline.best_step)
                       : std::string(),
                   deck_.output.dir, deck_.learner.model);
      if (offline.rollout)
        spdlog::info("rollouts over {} intervals on held-out months: loss {:.4f} before the fine-tuning, {:.4f} at its "
                     "end{}",
                     plan_.rollout.longest(), offline.rollout->loss_first, offline.rollout->loss_last,
                     offline.rollout->lost > 0
                         ? fmt::format("; {} rollouts did not stay finite and were left out", offline.rollout->lost)
                         : std::string());
      make_report(deck_);
    });
  }

  const CommandContext& context_;
  const Deck& deck_;
  const double began_ = MPI_Wtime();
  EnergyMeter energy_;
  std::unique_ptr<ArchiveSet> archives_;
  std::optional<std::vector<Delivery>> record_;  ///< to be repeated
  const ReservoirBatches* reservoir_ = nullptr;  ///< what the batches come from, in the stream's order
  LearningPlan plan_;
  Normaliser normaliser_;
  TrainingDistribution distribution_;
  std::unique_ptr<MetricsWriter> metrics_;
};

}  // namespace

int run_training(const CommandContext& context) {
  return OfflineTraining(context).run();
}

}  // namespace tramontane
