#include "src/coupled/following_training.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <thread>
#include <utility>

#include "kernels/checksum.hpp"
#include "kernels/communicator.hpp"
#include "kernels/wait_scope.hpp"
#include "ml/mpi_deadline.hpp"
#include "src/checkpoint/training_store.hpp"
#include "src/coupled/candidate_maker.hpp"
#include "src/coupled/delivery_record.hpp"
#include "src/coupled/energy_meter.hpp"
#include "src/coupled/learning.hpp"
#include "src/coupled/provenance.hpp"
#include "src/coupled/reservoir_batches.hpp"
#include "src/coupled/reservoir_report.hpp"
#include "src/coupled/training_identity.hpp"
#include "src/coupled/training_reports.hpp"
#include "src/deck/duration.hpp"
#include "src/exchange/followed_archive.hpp"
#include "src/exchange/learner_end.hpp"
#include "src/output/report.hpp"
#include "src/output/run_folder.hpp"
#include "src/program/collective_guard.hpp"
#include "src/program/estimate.hpp"
#include "src/program/signals.hpp"

namespace tramontane {

namespace {

using End = FollowedArchiveSource::End;

/// What became of the run, for the report.
std::string text_of(End end) {
  switch (end) {
    case End::completed:
      return "the run has closed its archive";
    case End::early:
      return "the run ended its archive early";
    case End::dead:
      return "the run has died";
    case End::replaced:
      return "another run has taken the folder";
    default:
      return "the run goes on";
  }
}

/// One training, in order: claim the folder, find the run, find a checkpoint, train, save, tell the counts.
class FollowingTraining {
 public:
  explicit FollowingTraining(const CommandContext& context) : context_(context), deck_(context.deck) {}

  int run() {
    if (!attach()) return kExitStopped;
    require_fit();
    plan();
    TrainingStore store(deck_, identity(), context_.world);
    plan_.resumed = store.find();
    if (plan_.resumed) step_ = plan_.resumed->optimiser.step;
    // From here on files of an earlier training are replaced.
    store.open();
    metrics_ = open_training_metrics(context_, plan_);

    FollowedArchiveSource source(terms());
    CandidateMaker maker(deck_, plan_.steps, end_.get(), end_ ? end_->first_version() : 1);
    LearningHooks hooks;
    hooks.after_step = [&](std::int64_t step) {
      step_ = step;
      if (end_) end_->beat(step);
      say_end(source.end());
    };
    hooks.validation_due = [&](std::int64_t step) { return maker.is_due(step); };
    hooks.validated = [&](std::int64_t step, const ValidationReport& report, const std::function<Model()>& make) {
      maker.validated(step, report, make);
    };
    hooks.checkpoint_due = [&] { return store.is_due(); };
    hooks.checkpoint = [&](TrainingCheckpoint checkpoint) { store.write(std::move(checkpoint)); };
    hooks.held_up = [&] { return wait_for_run(source); };
    const RunAnnouncement& said = run_.announcement;
    ReservoirBatches batches(deck_, source, plan_.steps, said.training, said.validation, surrogate_statics(plan_.n).area,
                             context_.world, context_.is_root());
    batches.set_break([&] { return source.breaks_off(); });
    watch_drift(deck_, batches, metrics_.get());
    if (context_.is_root()) spdlog::info("a learner rank holds {} for samples", bytes_text(batches.pool_bytes()));
    LearningOutcome outcome = learn(deck_, plan_, batches, context_.world, metrics_.get(), hooks);
    write_deliveries(deliveries_path(deck_), batches.deliveries(), context_.world);
    add_reservoir_figures(outcome.summary, batches);
    const bool is_stopped = outcome.is_stopped && outcome.summary.steps < plan_.steps;
    report(outcome, source, is_stopped);
    if (has_model(outcome)) maker.offer_last(std::move(outcome.model));
    if (end_) end_->end(is_stopped ? "stopped" : "done", exchange_.taken, exchange_.rejected);
    if (is_stopped && context_.is_root())
      spdlog::info("{}; run the same command with --set learner.resume=auto to continue",
                   store.last().empty() ? "there was no step, and so there is no checkpoint"
                                        : "the checkpoint is " + store.last());
    return is_stopped ? kExitStopped : kExitDone;
  }

 private:
  /// Returns false when a signal ended the wait for a run: then nothing has been touched.
  bool attach() {
    std::string note;
    collective_guard(context_.world, [&] {
      if (!context_.is_root()) return;
      end_ = std::make_unique<LearnerEnd>(deck_);
      if (const auto found = end_->attach())
        note = found->dump();
      else
        spdlog::info("a signal ended the wait for a run: run the same command to wait again, and to go on from the "
                     "checkpoint where there is one (learner.resume=auto)");
    });
    note = shared_text(note, context_.world);
    if (note.empty()) return false;
    run_ = read_run(nlohmann::json::parse(note), *deck_.exchange.dir);
    return true;
  }

  void require_fit() const {
    const RunAnnouncement& said = run_.announcement;
    if (said.coarse_n != deck_.surrogate.coarse_n)
      throw InputError(fmt::format(
          "{}the run in exchange.dir = {} teaches C{} but surrogate.coarse_n = {}: give both jobs the same deck",
          deck_.where("surrogate.coarse_n"), *deck_.exchange.dir, said.coarse_n, deck_.surrogate.coarse_n));
    if (std::abs(said.interval_seconds - deck_.surrogate.interval) > 1e-6 * deck_.surrogate.interval)
      throw InputError(fmt::format("{}the run in exchange.dir = {} teaches an interval of {} but surrogate.interval = {}: "
                                   "give both jobs the same deck",
                                   deck_.where("surrogate.interval"), *deck_.exchange.dir,
                                   duration_text(said.interval_seconds), duration_text(deck_.surrogate.interval)));
    std::error_code ignored;
    if (std::filesystem::equivalent(said.output_dir, deck_.output.dir, ignored))
      throw InputError(fmt::format("{}output.dir = {} is the run's folder, too, and each job writes its own summary: give "
                                   "this one another, as in --set output.dir={}-learner",
                                   deck_.where("output.dir"), deck_.output.dir, deck_.output.dir));
  }

  void plan() {
    plan_.n = deck_.surrogate.coarse_n;
    plan_.interval = deck_.surrogate.interval;
    plan_.steps = deck_.learner.steps;
    nlohmann::ordered_json provenance = nlohmann::ordered_json::parse(training_provenance(deck_, "train"));
    provenance["run_id"] = run_.announcement.run_id;
    provenance["archives"] = {run_.announcement.archive};
    plan_.provenance = provenance.dump();
    if (!context_.is_root()) return;
    spdlog::info("following the run of {} in {}: {} samples to train on, {} held out", run_.identity.text(),
                 *deck_.exchange.dir, run_.announcement.training, run_.announcement.validation);
    if (run_.version != TRAMONTANE_VERSION)
      spdlog::warn("the run is of tramontane {}, this learner of {}: one version for both is safer", run_.version,
                   TRAMONTANE_VERSION);
  }

  /// Samples that are still to come can not be summed up: the run that makes them stands for them.
  TrainingIdentity identity() const {
    const RunAnnouncement& said = run_.announcement;
    Checksum sum;
    sum.add(said.run_id.data(), said.run_id.size());
    return training_identity(deck_, plan_, said.training + said.validation, sum.value(), context_.size);
  }

  FollowingTerms terms() const {
    const std::filesystem::path folder = *deck_.exchange.dir;
    FollowingTerms terms;
    terms.archive = run_.announcement.archive;
    terms.mark = folder / "archive.mark";
    terms.note = folder / "solver.json";
    terms.run = run_.token;
    terms.takes_snapshots = run_.announcement.takes_snapshots;
    terms.coarse_n = plan_.n;
    terms.interval_seconds = plan_.interval;
    terms.silence_seconds = deck_.exchange.silence;
    terms.learner = context_.rank;
    terms.learners = context_.size;
    return terms;
  }

  /// None when training ended before the first step of this job.
  static bool has_model(const LearningOutcome& outcome) { return !outcome.model.weights.empty(); }

  /// The run is away, or a signal has ended a wait for samples. Training stands still until the run goes on, at most
  /// exchange.wait, because steps on the samples of its past alone would use the training up. Returns whether it ends here,
  /// by a signal or when that time has passed. On all ranks together.
  bool wait_for_run(FollowedArchiveSource& source) {
    using namespace std::chrono_literals;
    const WaitScope wait("the run to go on in " + *deck_.exchange.dir, MPI_COMM_NULL, WaitScope::kAll, WaitScope::kOutside);
    enum Word : int { kWait, kIsBack, kHasGivenUp };
    const double began = MPI_Wtime();
    bool is_told = false;
    for (;; std::this_thread::sleep_for(50ms)) {
      int words[2] = {stop_requested() ? 1 : 0, kWait};
      if (context_.is_root()) {
        words[1] = source.is_run_back()                           ? kIsBack
                   : MPI_Wtime() - began > deck_.exchange.wait ? kHasGivenUp
                                                                  : kWait;
        if (words[0] == 0 && words[1] == kWait && !std::exchange(is_told, true))
          spdlog::warn("{}: training waits at step {} for the run to go on, at most {} (exchange.wait)", source.why_away(),
                       step_, duration_text(deck_.exchange.wait));
        end_->hold(step_);
      }
      std::vector<MPI_Request> requests(1);
      MPI_Iallreduce(MPI_IN_PLACE, words, 2, MPI_INT, MPI_MAX, context_.world, requests.data());
      wait_with_deadline(requests, deck_.stream.deadline, "word from the other learners while the run is away",
                         context_.world);
      has_given_up_ = words[0] == 0 && words[1] == kHasGivenUp;
      if (words[0] != 0 || has_given_up_) return true;
      if (words[1] == kIsBack) break;
    }
    if (is_told) spdlog::info("the run goes on");
    source.go_on();
    return false;
  }

  /// Once, when it happens and not when training is over.
  void say_end(End end) {
    if (said_end_ || end == End::none || end == End::stopped) return;
    said_end_ = true;
    if (!context_.is_root()) return;
    if (end == End::completed)
      spdlog::info("the run has closed its archive: all samples are there");
    else
      spdlog::warn("{}: training goes on with the samples that are there", text_of(end));
  }

  void report(const LearningOutcome& outcome, const FollowedArchiveSource& source, bool is_stopped) {
    say_end(source.end());
    std::int64_t counts[2] = {source.taken(), source.rejected()};
    MPI_Allreduce(MPI_IN_PLACE, counts, 2, MPI_INT64_T, MPI_SUM, context_.world);
    exchange_.taken = counts[0];
    exchange_.rejected = counts[1];
    Summary summary;
    summary.command = "train";
    summary.version = TRAMONTANE_VERSION;
    summary.deck = deck_.file;
    summary.learner_ranks = context_.size;
    summary.learner = outcome.summary;
    summary.exchange = exchange_;
    summary.exchange->partner = has_given_up_ ? "the run is away" : text_of(source.end());
    collective_guard(context_.world, [&] {
      if (!context_.is_root()) return;
      if (has_model(outcome)) {
        outcome.model.save(std::filesystem::path(deck_.output.dir) / deck_.learner.model);
        save_as_onnx(deck_, outcome.model);
      }
      summary.wall_seconds = MPI_Wtime() - began_;
      summary.energy = energy_.read();
      write_summary(deck_.output.dir, summary);
      make_report(deck_);
      spdlog::info("{} after {} steps, {:.0f} s, {} samples taken, {} rejected; {}: loss {:.4f} -> {:.4f}; {}",
                   has_given_up_ ? "stopped, because the run has not gone on within exchange.wait,"
                   : is_stopped  ? "stopped by a signal"
                                 : "trained",
                   summary.learner->steps, summary.wall_seconds, exchange_.taken, exchange_.rejected,
                   summary.exchange->partner, summary.learner->loss_first, summary.learner->loss_last,
                   has_model(outcome) ? "model in " + deck_.output.dir + "/" + deck_.learner.model
                                      : std::string("no step, so no model"));
    });
  }

  const CommandContext& context_;
  const Deck& deck_;
  const double began_ = MPI_Wtime();
  EnergyMeter energy_;
  std::unique_ptr<LearnerEnd> end_;  ///< on the first rank
  FollowedRun run_;
  LearningPlan plan_;
  ExchangeSummary exchange_;
  std::unique_ptr<MetricsWriter> metrics_;
  std::int64_t step_ = 0;      ///< the last one
  bool said_end_ = false;
  bool has_given_up_ = false;  ///< the run has been away for too long
};

}  // namespace

int run_following_training(const CommandContext& context) {
  return FollowingTraining(context).run();
}

}  // namespace tramontane
