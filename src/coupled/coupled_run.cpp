#include "src/coupled/coupled_run.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "src/checkpoint/run_snapshot_store.hpp"
#include "src/coupled/exchange_setup.hpp"
#include "src/coupled/learner_side.hpp"
#include "src/coupled/provenance.hpp"
#include "src/coupled/run_ending.hpp"
#include "src/coupled/run_snapshot_learner.hpp"
#include "src/coupled/run_snapshot_resume.hpp"
#include "src/coupled/run_snapshot_solver.hpp"
#include "src/coupled/solver_side.hpp"
#include "src/coupled/stream_setup.hpp"
#include "src/output/run_folder.hpp"
#include "src/program/collective_guard.hpp"
#include "src/program/emergency.hpp"
#include "src/program/watchdog.hpp"

namespace tramontane {

namespace {

/// s; for learner processes of a lost learner to come to the end, if they can.
constexpr double kLostSeconds = 5;

/// One coupled run on one rank, in order: find a snapshot, prepare, couple the roles, report.
class CoupledRun {
 public:
  explicit CoupledRun(const CommandContext& context)
      : context_(context),
        deck_(context.deck),
        is_learner_(context.ranks.is_learner(context.rank)),
        is_two_jobs_(has_two_jobs(deck_, Command::run)) {
    ending_.began = MPI_Wtime();
    MPI_Comm_split(context.world, is_learner_ ? 1 : 0, context.rank, &role_);
  }

  int run() {
    past_ = find_past(context_);
    check_input();
    open_reports();
    begin_summary();
    is_two_jobs_ ? solve_beside_another_job() : couple();
    metrics_.reset();
    archive_.reset();
    pair_.reset();
    if (!is_two_jobs_) share_learner_summary(context_, summary_, idle_seconds_);
    if (summary_.gate && summary_.learner) summary_.learner->weights_version = static_cast<int>(summary_.gate->version);
    int whole = ending_.whole ? 1 : 0;
    MPI_Bcast(&whole, 1, MPI_INT, 0, context_.world);
    ending_.whole = whole != 0;
    write_reports(context_, context_.world, ending_, energy_, summary_, exchange_.get());
    MPI_Comm_free(&role_);
    return ending_.whole ? kExitDone : kExitStopped;
  }

 private:
  const RunSnapshot* continued() const { return past_ ? &past_->snapshot : nullptr; }

  /// What can be wrong with data, time step and archive is found here: before an earlier run's files are replaced, and
  /// while the learners listen.
  void check_input() {
    collective_guard(context_.world, [&] {
      if (!is_two_jobs_ || !context_.is_root()) return;
      const ExchangePast* before = continued() && continued()->exchange ? &*continued()->exchange : nullptr;
      exchange_ = std::make_unique<SolverEnd>(deck_, announcement_of(deck_, continued()), before);
    });
    collective_guard(context_.world, [&] {
      if (is_learner_) return;
      const Month first = deck_.teach_months().front();
      pair_ = std::make_unique<SolverPair>(deck_, role_, first);
      pair_->start(first);
      pair_->fine().checked_rate();
      const auto told = [&](ArchiveChange change, std::int64_t samples) {
        archived_ = change == ArchiveChange::spoiled ? kSpoiled : samples;
        if (exchange_) exchange_->archive_changed(change, samples);
      };
      try {
        archive_ = make_archive(deck_, role_, pair_->coarse().grid().tiling(), told, past_ ? &*past_ : nullptr);
      } catch (const ArchiveUnreadable& error) {  // on all ranks together
        begin_anew(error.what());
        archive_ = make_archive(deck_, role_, pair_->coarse().grid().tiling(), told);
      }
    });
    if (exchange_ && continued() && !archive_)
      exchange_->archive_is_over(continued()->archived < 0 ? ArchiveChange::ended : ArchiveChange::completed);
    say_what_is_kept();
  }

  /// A learner of another job has its samples from the archive alone: without it all are made again.
  void begin_anew(const std::string& why) {
    if (context_.is_root())
      spdlog::warn("{}, and the learner takes its samples from there: the lessons begin anew, with the same samples", why);
    past_.reset();
  }

  /// Should the watchdog end the job, it also says what was on the disk already.
  void say_what_is_kept() {
    if (archive_)
      kept_.emplace_back([this]() -> std::string {
        const std::int64_t samples = archived_;
        return samples == kSpoiled ? fmt::format("the archive {} may be damaged: a flush failed", *deck_.stream.archive)
                                   : fmt::format("the archive {}, {} samples as of its last flush", *deck_.stream.archive, samples);
      });
    if (deck_.takes_snapshots() && (context_.is_root() || context_.rank == context_.ranks.first_learner()))
      kept_.emplace_back([folder = RunSnapshotStore(deck_).folder()]() -> std::string {
        const std::vector<std::string> snapshots = list_snapshots(folder);
        return snapshots.empty() ? "" : "the last snapshot, " + snapshots.front();
      });
  }

  void open_reports() {
    collective_guard(context_.world, [&] {
      if (context_.is_root()) write_resolved_deck(deck_);
      const auto open = [&](const char* part, const std::string* before) {
        if (before) write_whole_file(metrics_path(deck_, part), *before);
        metrics_ = std::make_unique<MetricsWriter>(metrics_path(deck_, part), before != nullptr);
      };
      if (context_.is_root()) open("solver", past_ ? &past_->snapshot.metrics : nullptr);
      if (context_.rank == context_.ranks.first_learner()) open("learner", past_ ? &past_->learner->metrics : nullptr);
    });
  }

  void begin_summary() {
    summary_.command = "run";
    summary_.version = TRAMONTANE_VERSION;
    summary_.deck = deck_.file;
    summary_.solver_ranks = context_.ranks.solvers;
    summary_.learner_ranks = context_.ranks.learners;
  }

  void solve_beside_another_job() {
    SolverSide solver(context_, *pair_, archive_.get(), nullptr, exchange_.get(), metrics_.get());
    std::unique_ptr<SolverSnapshots> snapshots = make_snapshots(solver, nullptr);
    ending_.whole = solver.run(summary_);
    add_snapshots(snapshots.get());
    if (exchange_ && snapshots && !ending_.whole) exchange_->pause();
    archive_.reset();
    collective_guard(context_.world, [&] {
      if (exchange_) summary_.exchange = close_exchange(*exchange_, solver.samples());
    });
  }

  void couple() {
    ModelHandover handover(context_.world, context_.ranks, deck_.stream.deadline);
    contain_learners();
    std::unique_ptr<SnapshotLink> link;
    if (deck_.takes_snapshots()) link = std::make_unique<SnapshotLink>(context_.world, context_.ranks);
    is_learner_ ? learn(handover, link.get()) : solve(handover, link.get());
  }

  void contain_learners() const {
    if (!watchdog() || deck_.learner.when_lost != WhenLost::go_on) return;
    std::vector<int> contained;
    for (int rank = 0; rank < context_.ranks.total(); ++rank)
      if (context_.ranks.is_learner(rank)) contained.push_back(rank);
    watchdog()->contain(contained);
  }

  void learn(ModelHandover& handover, SnapshotLink* link) {
    std::unique_ptr<LearnerSnapshots> snapshots;
    if (link)
      snapshots = std::make_unique<LearnerSnapshots>(context_, role_, *link, metrics_path(deck_, "learner"),
                                                     past_ ? past_->learner.get() : nullptr, past_ ? past_->path : "");
    summary_.learner = learner_side(context_, role_, handover, metrics_.get(), idle_seconds_, snapshots.get(),
                                    continued(), past_ ? std::move(past_->learner) : nullptr);
    handover.await_end();
  }

  void solve(ModelHandover& handover, SnapshotLink* link) {
    std::unique_ptr<StreamProducer> stream;
    if (!continued() || !continued()->lessons_done)
      stream = std::make_unique<StreamProducer>(context_.world, stream_roles(context_.ranks),
                                                pair_->coarse().grid().tiling(), stream_options(deck_, continued()));
    SolverSide solver(context_, *pair_, archive_.get(), stream.get(), context_.is_root() ? &handover : nullptr,
                      metrics_.get());
    std::unique_ptr<SolverSnapshots> snapshots = make_snapshots(solver, link);
    ending_.whole = solver.run(summary_);
    if (snapshots) snapshots->end();
    add_snapshots(snapshots.get());
    // A lost learner may have come to its senses since; it is not waited for.
    const double patience = summary_.gate->learner_lost.empty() ? deck_.stream.deadline : kLostSeconds;
    int together = context_.is_root() && handover.end_together(patience) ? 1 : 0;
    MPI_Bcast(&together, 1, MPI_INT, 0, role_);
    if (!together) end_alone(handover);
  }

  /// None when the deck asks for none.
  std::unique_ptr<SolverSnapshots> make_snapshots(SolverSide& solver, SnapshotLink* link) {
    if (!deck_.takes_snapshots()) return nullptr;
    auto snapshots = std::make_unique<SolverSnapshots>(context_, *pair_, link, exchange_.get(), metrics_path(deck_, "solver"),
                                                       continued(), past_ ? past_->path : "");
    solver.set_snapshots(snapshots.get(), past_ ? &*past_ : nullptr);
    return snapshots;
  }

  void add_snapshots(const SolverSnapshots* snapshots) {
    if (!snapshots) return;
    summary_.snapshots = snapshots->summary();
    if (!ending_.whole) ending_.why_not_saved = snapshots->failure();
  }

  [[noreturn]] void end_alone(ModelHandover& handover) {
    metrics_.reset();
    LearnerSummary& learner = summary_.learner.emplace();
    learner.weights_version = static_cast<int>(summary_.gate->version);
    learner.steps = handover.learner().step;
    write_reports(context_, role_, ending_, energy_, summary_, nullptr);
    end_without_learners(context_, role_, handover, ending_.whole ? kExitDone : kExitStopped);
  }

  const CommandContext& context_;
  const Deck& deck_;
  const bool is_learner_, is_two_jobs_;
  MPI_Comm role_ = MPI_COMM_NULL;
  RunEnding ending_;
  EnergyMeter energy_;
  Summary summary_;
  double idle_seconds_ = 0;            ///< of this learner
  std::optional<RunPast> past_;        ///< of a run that goes on
  std::unique_ptr<SolverEnd> exchange_;  ///< on the first rank of a run whose learner is another job
  std::unique_ptr<SolverPair> pair_;   ///< on solver ranks
  std::unique_ptr<ArchiveWriter> archive_;
  std::unique_ptr<MetricsWriter> metrics_;
  static constexpr std::int64_t kSpoiled = -1;
  std::atomic<std::int64_t> archived_{0};  ///< samples as of the archive's last flush
  std::list<EmergencySave> kept_;
};

}  // namespace

int run_coupled(const CommandContext& context) {
  return CoupledRun(context).run();
}

}  // namespace tramontane
