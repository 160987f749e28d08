// A run and its learner as two jobs that meet in a folder: side by side, and when either is killed, stopped, or doubled.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "ml/model.hpp"
#include "src/checkpoint/training_store.hpp"
#include "src/exchange/learner_end.hpp"
#include "two_jobs.hpp"

namespace tramontane::testing {
namespace {

// In deterministic mode neither the way of the samples nor its timing shows in the weights.
TEST(TwoJobsRun, SideBySideGivesTheWeightsOfOneJob) {
  TwoJobs jobs("side-by-side");
  auto run = jobs.start("run", "run"), train = jobs.start("train", "train");
  const Job solver = run.get(), learner = train.get();
  ASSERT_EQ(solver.code, 0) << solver.err;
  ASSERT_EQ(learner.code, 0) << learner.err;
  ASSERT_EQ(small_run().job.code, 0) << small_run().job.err;
  const Model expected = Model::load(small_run().folder + "/model.h5"), found = Model::load(jobs.scratch / "train/model.h5");
  EXPECT_TRUE(found.weights == expected.weights);
  EXPECT_TRUE(found.normaliser == expected.normaliser);
  EXPECT_TRUE(Model::load(jobs.scratch / "run/model.h5").weights == expected.weights) << "promoted by the run";
  EXPECT_TRUE(datasets_of(jobs.scratch / "x/archive.h5") == datasets_of(small_run().archive));
  EXPECT_TRUE(datasets_of(jobs.scratch / "run/forecast.nc") == datasets_of(small_run().folder + "/forecast.nc"));
  const nlohmann::json exchange = jobs.summary("run")["exchange"];
  expect_closed(exchange);
  EXPECT_EQ(exchange["taken"], 96);
  EXPECT_EQ(exchange["learners"], 1);
  EXPECT_EQ(jobs.summary("train")["exchange"]["taken"], 96);
}

TEST(TwoJobsRun, TwoLearnerRanksFollowOneRunOfTwo) {
  TwoJobs jobs("ranks");
  auto run = jobs.start("run", "run", "", 2), train = jobs.start("train", "train", "", 2);
  const Job solver = run.get(), learner = train.get();
  ASSERT_EQ(solver.code, 0) << solver.err;
  ASSERT_EQ(learner.code, 0) << learner.err;
  EXPECT_EQ(jobs.summary("run")["exchange"]["taken"], 96);
  expect_closed(jobs.summary("run")["exchange"]);
}

TEST(TwoJobsRun, AKilledLearnerIsMissedAndItsSuccessorTakenIn) {
  TwoJobs jobs("successor");
  const std::string settings = "--set learner.resume=auto --set learner.checkpoint_minutes=0.005 --set teach.days=2";
  auto run = jobs.start("run", "run", settings);
  ASSERT_TRUE(comes_true([&] { return !jobs.processes("run").empty(); }));
  Throttle throttle(jobs, "run");
  auto first = jobs.start("train", "train", settings);
  const std::string checkpoints = jobs.scratch / "train/training-checkpoints";
  // One that is whole: a kill spoils the one that is being written.
  ASSERT_TRUE(comes_true([&] { return !list_training_checkpoints(checkpoints).empty() && jobs.has_trained("train"); }));
  EXPECT_TRUE(jobs.send(SIGKILL, "train"));
  EXPECT_NE(first.get().code, 0);
  // The run goes on and says so.
  EXPECT_TRUE(comes_true([&] {
    return read_text(jobs.scratch / "run.err").find("has died or hangs") != std::string::npos;
  })) << read_text(jobs.scratch / "run.err");
  auto second = jobs.start("train", "train", settings);
  ASSERT_TRUE(comes_true([&] { return jobs.has_trained("train") && jobs.is_attached() && !jobs.processes("train").empty(); }));
  EXPECT_TRUE(comes_true([&] {
    return read_text(jobs.scratch / "run.err").find("the learner is back") != std::string::npos;
  })) << read_text(jobs.scratch / "run.err");
  throttle.release();
  const Job learner = second.get(), solver = run.get();
  ASSERT_EQ(learner.code, 0) << learner.err;
  ASSERT_EQ(solver.code, 0) << solver.err;
  EXPECT_NE(learner.err.find("continuing after step"), std::string::npos) << learner.err;
  const nlohmann::json summary = jobs.summary("run");
  expect_closed(summary["exchange"]);
  EXPECT_EQ(summary["exchange"]["learners"], 2);
  EXPECT_GT(summary["gate"]["candidates"], 0);
  EXPECT_EQ(jobs.summary("train")["learner"]["steps"], 150);
  EXPECT_TRUE(Model::load(jobs.scratch / "run/model.h5").weights == Model::load(jobs.scratch / "train/model.h5").weights)
      << "the successor's last version is in use";
}

TEST(TwoJobsRun, AKilledRunLeavesItsLearnerToEndWithWhatIsThere) {
  TwoJobs jobs("lost-run");
  auto run = jobs.start("run", "run", "--set teach.days=8");
  ASSERT_TRUE(comes_true([&] { return !jobs.processes("run").empty(); }));
  Throttle throttle(jobs, "run");
  auto train = jobs.start("train", "train", "--set learner.deterministic=false --set teach.days=8");
  ASSERT_TRUE(comes_true([&] { return jobs.has_trained("train"); }));
  throttle.release();
  EXPECT_TRUE(jobs.send(SIGKILL, "run"));
  EXPECT_NE(run.get().code, 0);
  const Job learner = train.get();
  ASSERT_EQ(learner.code, 0) << learner.err;
  const nlohmann::json summary = jobs.summary("train");
  // It may have been done with its steps before it missed the run.
  const std::string partner = summary["exchange"]["partner"];
  EXPECT_TRUE(partner == "the run has died" || partner == "the run goes on") << partner;
  EXPECT_GE(summary["exchange"]["taken"], 24);
  EXPECT_LT(summary["exchange"]["taken"], 768);
  EXPECT_EQ(Model::load(jobs.scratch / "train/model.h5").training_step, 150);
}

TEST(TwoJobsRun, SecondJobsAndWrongOnesAreRefusedAndDamagedWeightsToo) {
  TwoJobs jobs("refused");
  auto run = jobs.start("run", "run", "--set teach.days=2");
  ASSERT_TRUE(comes_true([&] { return !jobs.processes("run").empty(); }));
  Throttle throttle(jobs, "run");
  ASSERT_TRUE(comes_true([&] { return text_in(jobs.note("solver"), "state") == "running"; }));

  const Job second_run = jobs.start("run", "other").get();
  EXPECT_EQ(second_run.code, 2);
  EXPECT_NE(second_run.err.find("a solver is at work there already"), std::string::npos) << second_run.err;
  const Job other_grid = jobs.start("train", "train", "--set surrogate.coarse_n=8").get();
  EXPECT_EQ(other_grid.code, 2);
  EXPECT_NE(other_grid.err.find("teaches C12 but surrogate.coarse_n = 8"), std::string::npos) << other_grid.err;
  const Job same_folder = jobs.start("train", "run").get();
  EXPECT_EQ(same_folder.code, 2);
  EXPECT_NE(same_folder.err.find("is the run's folder, too"), std::string::npos) << same_folder.err;

  {
    // A learner that publishes rubbish.
    LearnerEnd learner(parse_deck("", "deck.yaml", {"exchange.dir=" + (jobs.scratch / "x"), "exchange.silence=20s"}));
    learner.attach();
    const Job second = jobs.start("train", "train").get();
    EXPECT_EQ(second.code, 2);
    EXPECT_NE(second.err.find("a learner is at work there already"), std::string::npos) << second.err;
    learner.publish(std::vector<std::byte>(5000, std::byte{1}));
    throttle.release();
    EXPECT_TRUE(comes_true([&] { return learner.verdict().has_value(); }));
    learner.end("done", 0, 0);
    const Job solver = run.get();
    ASSERT_EQ(solver.code, 0) << solver.err;
    EXPECT_NE(solver.err.find("are refused"), std::string::npos) << solver.err;
  }
  const nlohmann::json summary = jobs.summary("run");
  EXPECT_EQ(summary["exchange"]["refused"], 1);
  EXPECT_EQ(summary["gate"]["promoted"], 0);
  EXPECT_EQ(summary["exchange"]["left"], 192);
  expect_closed(summary["exchange"]);
}

// A file size limit stands for a full disk: HDF5 meets the same error.
TEST(TwoJobsRun, AFullDiskUnderTheArchiveIsCountedAndBothJobsGoOn) {
  TwoJobs jobs("full-disk");
  auto run = jobs.start("run", "run", "--set teach.days=2");
  ASSERT_TRUE(comes_true([&] { return text_in(jobs.note("solver"), "state") == "running"; }));
  // Of the program alone: mpirun's own files are larger.
  const rlimit limit{2'500'000, 2'500'000};
  for (const pid_t process : jobs.processes("run")) ASSERT_EQ(prlimit(process, RLIMIT_FSIZE, &limit, nullptr), 0);
  const Job learner = jobs.start("train", "train", "--set teach.days=2").get();
  const Job solver = run.get();
  ASSERT_EQ(solver.code, 0) << solver.err;
  ASSERT_EQ(learner.code, 0) << learner.err;
  EXPECT_NE(solver.err.find("the archive ends here, the run goes on"), std::string::npos) << solver.err;
  const nlohmann::json exchange = jobs.summary("run")["exchange"];
  EXPECT_EQ(exchange["produced"], 192);
  EXPECT_GT(exchange["lost"], 0);
  EXPECT_GT(exchange["taken"], 24);
  expect_closed(exchange);
  EXPECT_NE(learner.err.find("the run ended its archive early"), std::string::npos) << learner.err;
}

TEST(TwoJobsRun, AStoppedLearnerSaysSoAndTheRunEndsWithoutIt) {
  TwoJobs jobs("stopped");
  auto run = jobs.start("run", "run");
  auto train = jobs.start("train", "train", "--set learner.steps=1000000");
  ASSERT_TRUE(comes_true([&] { return jobs.has_trained("train"); }));
  EXPECT_TRUE(jobs.send(SIGUSR1, "train"));
  const Job learner = train.get(), solver = run.get();
  EXPECT_EQ(learner.code, 4) << learner.err;
  EXPECT_NE(learner.err.find("learner.resume=auto to continue"), std::string::npos) << learner.err;
  EXPECT_EQ(solver.code, 0) << solver.err;
  expect_closed(jobs.summary("run")["exchange"]);
}

}  // namespace
}  // namespace tramontane::testing
