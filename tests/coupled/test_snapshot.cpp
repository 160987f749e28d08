// A coupled run that is killed, stopped or short of disk, and continued from its snapshots: no bit may change.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <future>
#include <thread>

#include "job.hpp"
#include "ml/model.hpp"
#include "src/archive/archive_reader.hpp"
#include "src/checkpoint/run_snapshot_store.hpp"

namespace tramontane::testing {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
namespace fs = std::filesystem;

/// Some seconds long: 36 samples, 120 steps, half of them after the lessons.
constexpr const char* kDeck =
    "grid: {n: 24}\n"
    "initial: {case: winds}\n"
    "teach: {months: [1983-01, 1984-07], validation: [1990-01], days: 0.5}\n"
    "stream: {every: 1h, deadline: 60s}\n"
    "surrogate: {coarse_n: 12, interval: 1h, network: {width: 16, levels: 2}}\n"
    "learner: {batch: 8, steps: 120, learning_rate: 2e-3, warmup: 10, ema: 0.95, watermark: 8, validate_every: 40, "
    "deterministic: true}\n"
    "gate: {every: 40, hours: 6}\n"
    "forecast: {starts: [1991-01], days: 0.25}\n"
    "output: {every: 3h, latlon: 0, plots: false}\n";
constexpr int kSamples = 36, kSteps = 120;

class Snapshots : public ::testing::Test {
 protected:
  /// The run that nothing interrupts and that takes no snapshots.
  static const std::string& whole() {
    static const Scratch scratch("snapshot-whole");
    static const std::string folder = [] {
      const std::string run = scratch / "run";
      const Job job = run_job(scratch, "whole", 2,
                              "run " + scratch.write("deck.yaml", kDeck) + " --set output.dir=" + run +
                                  " --set stream.archive=" + run + "/archive.h5");
      EXPECT_EQ(job.code, 0) << job.err;
      EXPECT_FALSE(fs::exists(run + "/snapshots"));
      return run;
    }();
    return folder;
  }

  std::string arguments(const std::string& settings = "") const {
    return "run " + deck_ + " --set output.dir=" + folder_ + " --set stream.archive=" + folder_ +
           "/archive.h5 --set checkpoint.every=4h" + settings;
  }
  Job resume(int ranks = 2, const std::string& settings = "") const {
    return run_job(scratch_, "rest", ranks, arguments(" --set checkpoint.resume=auto" + settings));
  }
  std::vector<std::string> snapshots() const { return list_snapshots(folder_ + "/snapshots"); }
  /// What the newest whole snapshot says; number 0 when there is none.
  RunSnapshot newest() const {
    for (const std::string& path : snapshots()) {
      const SnapshotCheck check = check_snapshot(path);
      if (check.damage.empty()) return check.snapshot;
    }
    return {};
  }

  /// Runs and, once `ready`, hands the job's processes over.
  Job interrupt(const std::function<bool()>& ready, const std::function<void(const std::map<pid_t, int>&)>& strike,
                const std::string& settings = "", int ranks = 2) {
    auto job =
        std::async(std::launch::async, [&] { return run_job(scratch_, "interrupted", ranks, arguments(settings)); });
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (!ready() && job.wait_for(10ms) != std::future_status::ready && std::chrono::steady_clock::now() < end) {
    }
    strike(processes_of(scratch_));
    return job.get();
  }
  static void kill_all(const std::map<pid_t, int>& processes) {
    for (const auto& [process, rank] : processes) kill(process, SIGKILL);
  }

  /// What was continued must be what the run that nothing interrupted left.
  void expect_same_as_whole(int restarts, bool same_ranks = true) const {
    const Model mine = Model::load(folder_ + "/model.h5"), theirs = Model::load(whole() + "/model.h5");
    EXPECT_TRUE(mine.weights == theirs.weights);
    EXPECT_TRUE(mine.normaliser == theirs.normaliser);
    EXPECT_EQ(mine.training_step, theirs.training_step);
    for (const char* file : {"/archive.h5", "/forecast.nc"})
      EXPECT_TRUE(datasets_of(folder_ + file) == datasets_of(whole() + file)) << file;
    EXPECT_TRUE(ArchiveReader(folder_ + "/archive.h5").complete());
    EXPECT_EQ(read_text(folder_ + "/deliveries.csv"), read_text(whole() + "/deliveries.csv"));
    json a = read_json(folder_ + "/summary.json"), b = read_json(whole() + "/summary.json");
    EXPECT_EQ(a["snapshots"]["restarts"].size(), static_cast<std::size_t>(restarts));
    for (const char* key : {"rmse", "acc"}) EXPECT_EQ(a["forecast"][key], b["forecast"][key]) << key;
    for (const char* key : {"produced", "delivered", "dropped", "in_flight", "rejected"})
      EXPECT_EQ(a["stream"][key], b["stream"][key]) << key;
    if (same_ranks) {
      EXPECT_EQ(a["stream"]["bytes"], b["stream"]["bytes"]);
    }
    for (const char* key : {"steps", "samples_seen", "reuse_factor", "loss_first", "loss_last", "validation_loss"})
      EXPECT_EQ(a["learner"][key], b["learner"][key]) << key;
    for (const char* key : {"candidates", "promoted", "rejected", "version", "shadow_score"})
      EXPECT_EQ(a["gate"][key], b["gate"][key]) << key;
    for (const char* key : {"steps", "mass_drift", "energy_drift", "enstrophy_drift"})
      EXPECT_EQ(a["solver"][key], b["solver"][key]) << key;
    // Every report once, whatever the restarts. Wall-clock figures are left out, and the drift, which counts samples
    // where they arrive, not where they are used.
    const auto facts = [](const std::string& folder) {
      json out = json::array();
      for (json line : read_metrics(folder + "/metrics.jsonl")) {
        if (line["kind"] == "drift") continue;
        for (const char* figure : {"seconds", "samples_per_second", "samples"}) line.erase(figure);
        out.push_back(line);
      }
      return out;
    };
    EXPECT_EQ(facts(folder_), facts(whole()));
  }

  Scratch scratch_{"snapshot"};
  std::string deck_ = scratch_.write("deck.yaml", kDeck), folder_ = scratch_ / "run";
};

TEST_F(Snapshots, KilledInTheLessonsInTrainingAndInTheForecasts) {
  struct Moment {
    const char* name;
    std::function<bool(const RunSnapshot&)> has_come;
  };
  const Moment moments[] = {
      {"in the lessons", [](const RunSnapshot& s) { return s.place.number >= kSamples / 3; }},
      {"in training after the lessons", [](const RunSnapshot& s) { return s.lessons_done; }},
      {"in the forecasts", [](const RunSnapshot& s) { return s.lessons_done && s.training_step == kSteps; }},
  };
  for (const Moment& moment : moments) {
    SCOPED_TRACE(moment.name);
    fs::remove_all(folder_);
    const Job job = interrupt([&] { return moment.has_come(newest()); }, kill_all);
    // The forecasts are short: when they were over first, they are made again, which must change nothing either.
    if (job.code == 0) {
      EXPECT_EQ(newest().training_step, kSteps);
    }
    const RunSnapshot at = newest();
    ASSERT_GT(at.number, 0);
    const Job rest = resume();
    ASSERT_EQ(rest.code, 0) << rest.err;
    EXPECT_NE(rest.err.find("continuing at sample " + std::to_string(at.place.number)), std::string::npos) << rest.err;
    expect_same_as_whole(1);
  }
}

// A signal to one learner alone: the solver ranks hear of it. Continued on another number of solver ranks; twice.
TEST_F(Snapshots, StoppedByASignalAndContinuedOnOtherRanks) {
  const auto signal_learner = [](const std::map<pid_t, int>& processes) {
    for (const auto& [process, rank] : processes)
      if (rank == 1) kill(process, SIGTERM);
  };
  const Job job = interrupt([&] { return newest().place.number >= 8; }, signal_learner);
  ASSERT_EQ(job.code, 4) << job.err;
  EXPECT_NE(job.err.find("the snapshot is " + snapshots().at(0)), std::string::npos) << job.err;
  EXPECT_FALSE(fs::exists(folder_ + "/model.h5"));
  const json stream = read_json(folder_ + "/summary.json")["stream"];
  EXPECT_EQ(stream["produced"], stream["delivered"]);
  EXPECT_EQ(stream["in_flight"], 0);
  const std::int64_t stopped = newest().number;
  const Job killed = interrupt([&] { return newest().number > stopped; }, kill_all,
                               " --set checkpoint.resume=auto --set ranks.solver=2 --set ranks.learner=1", 3);
  EXPECT_NE(killed.code, 0);
  const Job rest = resume();
  ASSERT_EQ(rest.code, 0) << rest.err;
  expect_same_as_whole(2, false);
}

TEST_F(Snapshots, ADeadSolverRankEndsTheJobAndTheNewestButOneIsTakenWhenTheNewestIsDamaged) {
  const auto began = std::chrono::steady_clock::now();
  const Job job = interrupt([&] { return snapshots().size() == 2; },
                            [](const std::map<pid_t, int>& processes) {
                              for (const auto& [process, rank] : processes)
                                if (rank == 1) kill(process, SIGKILL);
                            },
                            " --set ranks.solver=2 --set ranks.learner=1", 3);
  EXPECT_NE(job.code, 0);
  EXPECT_NE(job.code, 124) << "the job hung";
  EXPECT_LT(std::chrono::steady_clock::now() - began, 100s);
  const auto left = snapshots();
  ASSERT_GE(left.size(), 2u);
  EXPECT_EQ(check_snapshot(left[1]).damage, "");
  std::string bytes = read_text(left[0] + "/manifest");
  bytes[bytes.size() / 2] ^= 4;
  std::ofstream(left[0] + "/manifest", std::ios::binary) << bytes;
  const Job rest = resume(3, " --set ranks.solver=2 --set ranks.learner=1");
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_NE(rest.err.find("the snapshot " + left[0] + " is damaged"), std::string::npos) << rest.err;
  EXPECT_NE(rest.err.find("from " + left[1]), std::string::npos) << rest.err;
  expect_same_as_whole(1, false);
}

TEST_F(Snapshots, RefusesWhatDoesNotFit) {
  const Job job = interrupt([&] { return newest().number > 0; }, kill_all);
  ASSERT_NE(job.code, 0);
  const auto before = contents_of(folder_);
  const auto expect_refused = [&](int ranks, const std::string& settings, const std::vector<std::string>& words) {
    const Job refused = run_job(scratch_, "refused", ranks, arguments(" --set checkpoint.resume=auto" + settings));
    EXPECT_EQ(refused.code, 2) << refused.err;
    for (const std::string& word : words)
      EXPECT_NE(refused.err.find(word), std::string::npos) << word << "\n" << refused.err;
    EXPECT_EQ(refused.err.find("tramontane: error: "), refused.err.rfind("tramontane: error: ")) << refused.err;
    EXPECT_TRUE(contents_of(folder_) == before) << "files were changed";
  };
  expect_refused(2, " --set learner.learning_rate=1e-3", {"learner.learning_rate = 0.002, and this run has 0.001"});
  expect_refused(3, " --set ranks.learner=2", {"1 learner rank(s), and this run has 2", "set ranks.learner = 1"});
  for (const std::string& path : snapshots()) {
    std::string bytes = read_text(path + "/state.h5");
    bytes[bytes.size() / 2] ^= 4;
    std::ofstream(path + "/state.h5", std::ios::binary) << bytes;
  }
  const Job unusable = resume();
  EXPECT_EQ(unusable.code, 2) << unusable.err;
  EXPECT_NE(unusable.err.find("no snapshot is usable"), std::string::npos) << unusable.err;
}

TEST_F(Snapshots, AFullDiskStopsNoRunAndLeavesTheLastGoodOne) {
  const SmallDisk disk(folder_ + "/snapshots", "2m");
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small disk needs rights that this user does not have";
  const Job job = run_job(scratch_, "job", 2, arguments());
  ASSERT_EQ(job.code, 0) << job.err;
  EXPECT_NE(job.err.find("the run goes on: "), std::string::npos) << job.err;
  EXPECT_NE(job.err.find("the last good one is "), std::string::npos) << job.err;
  ASSERT_FALSE(snapshots().empty());
  EXPECT_GT(newest().number, 0);
  for (const auto& entry : fs::directory_iterator(folder_ + "/snapshots"))
    EXPECT_NE(entry.path().extension(), ".part") << entry.path();
  expect_same_as_whole(0);
}

// Where timing decides what is dropped and drawn, the ledger closes over a restart all the same, and the archive with the
// record of deliveries gives the same weights again.
TEST_F(Snapshots, LedgerAndRecordHoldOverARestart) {
  const std::string settings =
      " --set learner.deterministic=false --set stream.queue=1 --set stream.when_full=drop_oldest --set learner.batch=64 "
      "--set learner.steps=30 --set gate.every=0 --set learner.watermark=4";
  const Job job = interrupt([&] { return newest().place.number >= 12; }, kill_all, settings);
  ASSERT_NE(job.code, 0);
  const Job rest = resume(2, settings);
  ASSERT_EQ(rest.code, 0) << rest.err;
  const json summary = read_json(folder_ + "/summary.json"), stream = summary["stream"];
  EXPECT_EQ(summary["snapshots"]["restarts"].size(), 1u);
  EXPECT_EQ(stream["produced"], kSamples);
  EXPECT_EQ(stream["produced"].get<int>(), stream["delivered"].get<int>() + stream["dropped"].get<int>());
  EXPECT_EQ(stream["in_flight"], 0);
  EXPECT_EQ(ArchiveReader(folder_ + "/archive.h5").size(), kSamples);
  const Job again = run_job(scratch_, "again", 1,
                            "train " + deck_ + settings + " --set output.dir=" + (scratch_ / "again") +
                                " --set learner.archives=" + folder_ + "/archive.h5 --set learner.replay=" + folder_ +
                                "/deliveries.csv");
  ASSERT_EQ(again.code, 0) << again.err;
  const std::string last = folder_ + "/model-last.h5", used = folder_ + "/model.h5";
  const Model streamed = Model::load(fs::exists(last) ? last : used), trained = Model::load(scratch_ / "again/model.h5");
  EXPECT_TRUE(streamed.weights == trained.weights);
  EXPECT_TRUE(streamed.normaliser == trained.normaliser);
}

}  // namespace
}  // namespace tramontane::testing
