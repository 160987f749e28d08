// A run whose learner is a job of its own, and goes on from snapshots: either is killed or stopped, and no bit may change.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "ml/model.hpp"
#include "src/checkpoint/run_snapshot_store.hpp"
#include "src/checkpoint/training_store.hpp"
#include "two_jobs.hpp"

namespace tramontane::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRun = "--set checkpoint.every=4h --set checkpoint.resume=auto";
constexpr const char* kTrain = "--set learner.resume=auto --set learner.checkpoint_minutes=0.005";

/// Two jobs of which either may be started again.
class GoingOn : public TwoJobs {
 public:
  using TwoJobs::TwoJobs;

  /// What the newest whole snapshot of the run says; number 0 when there is none.
  RunSnapshot newest() const {
    for (const std::string& path : list_snapshots(scratch / "run/snapshots")) {
      const SnapshotCheck check = check_snapshot(path);
      if (check.damage.empty()) return check.snapshot;
    }
    return {};
  }
  /// Starts the run and its learner, and hands over at a moment in the lessons when the learner has trained and left a
  /// checkpoint that is whole.
  std::future<Job> start_both(std::future<Job>& train, const std::string& for_learner = "") {
    auto run = start("run", "run", kRun);
    EXPECT_TRUE(comes_true([&] { return text_in(note("solver"), "state") == "running"; }));
    const Throttle throttle(*this, "run", std::chrono::milliseconds(150), std::chrono::milliseconds(50));
    train = start("train", "train", kTrain + (" " + for_learner));
    EXPECT_TRUE(comes_true([&] {
      return newest().place.number >= 32 && has_trained("train") &&
             !list_training_checkpoints(scratch / "train/training-checkpoints").empty();
    }));
    return run;
  }
  bool says(const std::string& name, const std::string& words) const {
    return comes_true([&] { return read_text(scratch / (name + ".err")).find(words) != std::string::npos; });
  }

  /// What the run and its learner leave must be what one undisturbed job left.
  void expect_same_as_undisturbed(std::size_t restarts) const {
    ASSERT_EQ(small_run().job.code, 0) << small_run().job.err;
    const Model expected = Model::load(small_run().folder + "/model.h5"), found = Model::load(scratch / "train/model.h5");
    EXPECT_EQ(found.training_step, expected.training_step);
    EXPECT_TRUE(found.weights == expected.weights);
    EXPECT_TRUE(found.normaliser == expected.normaliser);
    EXPECT_TRUE(Model::load(scratch / "run/model.h5").weights == expected.weights) << "promoted by the run";
    EXPECT_TRUE(datasets_of(scratch / "x/archive.h5") == datasets_of(small_run().archive));
    EXPECT_TRUE(datasets_of(scratch / "run/forecast.nc") == datasets_of(small_run().folder + "/forecast.nc"));
    const nlohmann::json mine = summary("run"), theirs = small_run().summary();
    for (const char* key : {"steps", "mass_drift", "energy_drift", "enstrophy_drift"})
      EXPECT_EQ(mine["solver"][key], theirs["solver"][key]) << key;
    EXPECT_EQ(mine["forecast"]["rmse"], theirs["forecast"]["rmse"]);
    EXPECT_EQ(mine["snapshots"]["restarts"].size(), restarts);
    EXPECT_FALSE(mine.contains("stream"));
    expect_closed(mine["exchange"]);
    EXPECT_EQ(mine["exchange"]["produced"], 96);
    EXPECT_EQ(mine["exchange"]["archived"], 96);
    EXPECT_EQ(mine["exchange"]["taken"], 96);
  }
};

// The learner lives on, and waits. The archive's structure is spoilt, as a kill in the middle of a flush may leave it.
TEST(TwoJobSnapshots, AKilledRunGoesOnOnOtherRanksBesideItsLearner) {
  GoingOn jobs("goes-on");
  std::future<Job> train;
  auto killed = jobs.start_both(train);
  EXPECT_TRUE(jobs.send(SIGKILL, "run"));
  EXPECT_NE(killed.get().code, 0);
  const RunSnapshot at = jobs.newest();
  ASSERT_LT(at.place.number, 96);
  ASSERT_TRUE(at.exchange);
  EXPECT_EQ(at.learners, 0);
  EXPECT_EQ(at.exchange->samples, at.place.number);
  EXPECT_TRUE(jobs.says("train", "for the run to go on, at most"));
  {
    std::fstream archive(jobs.scratch / "x/archive.h5", std::ios::in | std::ios::out | std::ios::binary);
    archive.write(std::string(3000, '?').data(), 3000);
  }
  auto run = jobs.start("run", "run", kRun, 2);
  const Job solver = run.get(), learner = train.get();
  ASSERT_EQ(solver.code, 0) << solver.err;
  ASSERT_EQ(learner.code, 0) << learner.err;
  EXPECT_NE(solver.err.find("continuing at sample " + std::to_string(at.place.number)), std::string::npos) << solver.err;
  EXPECT_NE(learner.err.find("the run goes on"), std::string::npos) << learner.err;
  jobs.expect_same_as_undisturbed(1);
  EXPECT_EQ(jobs.summary("run")["exchange"]["learners"], 1);
  EXPECT_EQ(jobs.summary("train")["exchange"]["taken"], 96) << "each sample once";
}

// Stopped by a signal; the learner's patience ends, too, with a checkpoint; then both are started again, the learner first.
TEST(TwoJobSnapshots, AStoppedRunAndALearnerThatHasWaitedEnoughGoOnTogether) {
  GoingOn jobs("stopped");
  std::future<Job> train;
  auto stopped = jobs.start_both(train, "--set exchange.wait=4s");
  EXPECT_TRUE(jobs.send(SIGUSR1, "run"));
  const Job first = stopped.get();
  ASSERT_EQ(first.code, 4) << first.err;
  EXPECT_NE(first.err.find("--set checkpoint.resume=auto to continue"), std::string::npos) << first.err;
  EXPECT_EQ(text_in(jobs.note("solver"), "state"), "paused");
  expect_closed(jobs.summary("run")["exchange"]);
  const Job gave_up = train.get();
  EXPECT_EQ(gave_up.code, 4) << gave_up.err;
  EXPECT_NE(gave_up.err.find("because the run has not gone on within exchange.wait"), std::string::npos) << gave_up.err;
  EXPECT_NE(gave_up.err.find("learner.resume=auto to continue"), std::string::npos) << gave_up.err;
  EXPECT_EQ(jobs.summary("train")["exchange"]["partner"], "the run is away");

  auto learner_again = jobs.start("train", "train", kTrain);
  auto run_again = jobs.start("run", "run", kRun);
  const Job solver = run_again.get(), learner = learner_again.get();
  ASSERT_EQ(solver.code, 0) << solver.err;
  ASSERT_EQ(learner.code, 0) << learner.err;
  EXPECT_NE(learner.err.find("continuing after step"), std::string::npos) << learner.err;
  jobs.expect_same_as_undisturbed(1);
  EXPECT_EQ(jobs.summary("run")["exchange"]["learners"], 2);
}

// Both die, the learner while the run is away; the archive is lost on top of it, so that all samples are made again.
TEST(TwoJobSnapshots, BothKilledAndTheArchiveGone) {
  GoingOn jobs("both");
  std::future<Job> train;
  auto killed = jobs.start_both(train);
  EXPECT_TRUE(jobs.send(SIGKILL, "run"));
  EXPECT_NE(killed.get().code, 0);
  EXPECT_TRUE(jobs.says("train", "for the run to go on, at most"));
  EXPECT_TRUE(jobs.send(SIGKILL, "train"));
  EXPECT_NE(train.get().code, 0);
  fs::remove(jobs.scratch / "x/archive.h5");
  auto run_again = jobs.start("run", "run", kRun);
  auto learner_again = jobs.start("train", "train", kTrain);
  const Job solver = run_again.get(), learner = learner_again.get();
  ASSERT_EQ(solver.code, 0) << solver.err;
  ASSERT_EQ(learner.code, 0) << learner.err;
  EXPECT_NE(solver.err.find("the lessons begin anew, with the same samples"), std::string::npos) << solver.err;
  EXPECT_NE(learner.err.find("continuing after step"), std::string::npos) << learner.err;
  jobs.expect_same_as_undisturbed(0);
}

// A job that hangs looks dead from elsewhere, and another goes on in its place; when it wakes, it must leave the archive alone.
// The learner's order is one of timing here: what it recorded gives the same weights again from the archive.
TEST(TwoJobSnapshots, AJobThatHungLeavesItsRunToTheNextOneAndTheRecordHolds) {
  GoingOn jobs("hung");
  const std::string timing = " --set learner.deterministic=false",
                    settings = kRun + timing + " --set exchange.silence=2s --set exchange.final_wait=60s";
  auto hung = jobs.start("run", "run", settings);
  auto train = jobs.start("train", "train", kTrain + timing + " --set exchange.silence=2s");
  ASSERT_TRUE(comes_true([&] { return jobs.newest().number > 0 && jobs.is_attached(); }));
  EXPECT_TRUE(jobs.send(SIGSTOP, "run"));
  ASSERT_LT(jobs.newest().place.number, 96);
  auto next = jobs.start("run", "next", settings + " --set output.dir=" + (jobs.scratch / "run"));
  EXPECT_TRUE(jobs.says("next", "gives no sign of life: this run takes its place"));
  EXPECT_TRUE(jobs.send(SIGCONT, "run"));
  const Job woken = hung.get(), solver = next.get(), learner = train.get();
  EXPECT_EQ(woken.code, 3) << woken.err;
  EXPECT_NE(woken.err.find("another job has taken this run's place"), std::string::npos) << woken.err;
  ASSERT_EQ(solver.code, 0) << solver.err;
  ASSERT_EQ(learner.code, 0) << learner.err;
  EXPECT_TRUE(datasets_of(jobs.scratch / "x/archive.h5") == datasets_of(small_run().archive));
  expect_closed(jobs.summary("run")["exchange"]);
  const Job again = run_job(jobs.scratch, "again", 1,
                            "train " + jobs.deck + timing + " --set output.dir=" + (jobs.scratch / "again") +
                                " --set learner.archives=" + (jobs.scratch / "x/archive.h5") +
                                " --set learner.replay=" + (jobs.scratch / "train/deliveries.csv"));
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_TRUE(Model::load(jobs.scratch / "again/model.h5").weights == Model::load(jobs.scratch / "train/model.h5").weights);
}

// One of two learner ranks dies: MPI ends that job, the run goes on, and the learner comes back on as many ranks. Then the run
// dies: both ranks wait for it.
TEST(TwoJobSnapshots, ALostLearnerRankEndsItsJobAloneAndTwoRanksWaitForARun) {
  GoingOn undisturbed("two-learners"), jobs("lost-rank");
  auto run_1 = undisturbed.start("run", "run"), train_1 = undisturbed.start("train", "train", "", 2);
  ASSERT_EQ(run_1.get().code, 0);
  ASSERT_EQ(train_1.get().code, 0);

  auto run = jobs.start("run", "run", kRun);
  ASSERT_TRUE(comes_true([&] { return text_in(jobs.note("solver"), "state") == "running"; }));
  std::future<Job> train;
  {
    const Throttle throttle(jobs, "run", std::chrono::milliseconds(300), std::chrono::milliseconds(30));
    train = jobs.start("train", "train", kTrain, 2);
    ASSERT_TRUE(comes_true([&] { return !list_training_checkpoints(jobs.scratch / "train/training-checkpoints").empty(); }));
    for (const auto& [process, rank] : processes_of(jobs.scratch))
      if (rank == 1) kill(process, SIGKILL);
    EXPECT_NE(train.get().code, 0);
    EXPECT_TRUE(jobs.says("run", "the learner is lost, the run goes on"));
    train = jobs.start("train", "train", kTrain, 2);
    ASSERT_TRUE(jobs.says("train", "continuing after step"));
    ASSERT_TRUE(comes_true([&] { return jobs.newest().number > 0; }));
    ASSERT_LT(jobs.newest().place.number, 96);
    EXPECT_TRUE(jobs.send(SIGKILL, "run"));
  }
  EXPECT_NE(run.get().code, 0);
  EXPECT_TRUE(jobs.says("train", "for the run to go on, at most"));
  run = jobs.start("run", "run", kRun);
  const Job solver = run.get(), learner = train.get();
  ASSERT_EQ(solver.code, 0) << solver.err;
  ASSERT_EQ(learner.code, 0) << learner.err;
  EXPECT_NE(learner.err.find("continuing after step"), std::string::npos) << learner.err;
  EXPECT_TRUE(Model::load(jobs.scratch / "train/model.h5").weights ==
              Model::load(undisturbed.scratch / "train/model.h5").weights);
  expect_closed(jobs.summary("run")["exchange"]);
}

}  // namespace
}  // namespace tramontane::testing
