// A learner rank that dies or hangs in the middle of a coupled run, and a run that is asked to stop: the job ends by
// itself, says why, and keeps what it has.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <future>
#include <thread>

#include "job.hpp"
#include "ml/model.hpp"

namespace tramontane::testing {
namespace {

using namespace std::chrono_literals;

constexpr int kLearner = 2;  ///< rank of the learner among the three ranks of the job
constexpr int kAllRanks = -1;

/// Starts a run whose training would take hours, sends the signal to one rank or all once the learner trains, and waits
/// for the job's end.
Job run_and_signal(const Scratch& scratch, int signal_number, int to, const std::string& settings = "") {
  const std::string deck = scratch.write("deck.yaml", small_deck()), folder = scratch / "run";
  auto job = std::async(std::launch::async, [&] {
    return run_job(scratch, "run", 3,
                   "run " + deck + " --set output.dir=" + folder +
                       " --set ranks.learner=1 --set learner.steps=1000000 --set stream.deadline=10s" + settings);
  });
  EXPECT_TRUE(comes_true([&] { return !read_metrics(folder + "/metrics.learner.jsonl", "train").empty(); }));
  int signalled = 0;
  for (const auto& [process, rank] : processes_of(scratch))
    if (to == kAllRanks || rank == to) signalled += kill(process, signal_number) == 0;
  EXPECT_EQ(signalled, to == kAllRanks ? 3 : 1);
  return job.get();
}

TEST(LostLearner, KilledEndsTheJob) {
  const Scratch scratch("killed");
  const Job job = run_and_signal(scratch, SIGKILL, kLearner);
  EXPECT_NE(job.code, 0);
  EXPECT_NE(job.code, 124) << "the job hung until its time limit";
  EXPECT_NE(job.err.find("signal 9"), std::string::npos) << job.err;
  EXPECT_TRUE(comes_true([&] { return processes_of(scratch).empty(); }, 10s));
}

// A stopped process is what a node that hangs looks like: no one reports it dead, only deadlines tell. The forecast goes
// on without it, and MPI ends the stopped process at the end.
TEST(LostLearner, SilentDoesNotEndTheRun) {
  const Scratch scratch("silent");
  const Job job = run_and_signal(scratch, SIGSTOP, kLearner);
  ASSERT_EQ(job.code, 0) << job.err;
  const nlohmann::json summary = read_json(scratch / "run/summary.json"), stream = summary["stream"];
  EXPECT_TRUE(summary["learner"]["lost"]);
  EXPECT_NE(summary["learner"]["why_lost"].get<std::string>().find("learner rank"), std::string::npos);
  EXPECT_EQ(summary["gate"]["forecast"], "physics alone");
  EXPECT_EQ(summary["forecast"]["rmse"]["wind"]["hybrid"], summary["forecast"]["rmse"]["wind"]["coarse"]);
  EXPECT_EQ(stream["produced"], 96);
  EXPECT_EQ(stream["in_flight"], 0);
  EXPECT_EQ(stream["produced"].get<int>(), stream["delivered"].get<int>() + stream["dropped"].get<int>());
  EXPECT_LE(stream["lost"], stream["dropped"]);
  EXPECT_TRUE(comes_true([&] { return processes_of(scratch).empty(); }, 10s));
}

TEST(LostLearner, SilentEndsTheRunWhereTheDeckSaysSo) {
  const Scratch scratch("silent-stop");
  const Job job = run_and_signal(scratch, SIGSTOP, kLearner, " --set learner.when_lost=stop");
  EXPECT_EQ(job.code, 3) << job.err;
  EXPECT_TRUE(comes_true([&] { return processes_of(scratch).empty(); }, 10s));
}

// What a batch system sends before the time limit.
TEST(StopSignal, EndsWithTheModelAndAClosedLedger) {
  const Scratch scratch("stopped");
  const Job job = run_and_signal(scratch, SIGUSR1, kAllRanks);
  EXPECT_EQ(job.code, 4) << job.err;
  const nlohmann::json summary = read_json(scratch / "run/summary.json");
  const nlohmann::json stream = summary["stream"], learner = summary["learner"];
  EXPECT_EQ(stream["in_flight"], 0);
  EXPECT_EQ(stream["produced"].get<int>(), stream["delivered"].get<int>() + stream["dropped"].get<int>());
  EXPECT_GT(learner["steps"], 0);
  EXPECT_LT(learner["steps"], 1000000);
  EXPECT_EQ(Model::load(scratch / "run/model.h5").training_step, learner["steps"]);
}

}  // namespace
}  // namespace tramontane::testing
