// Jobs in which a rank does not come: every rank's place is printed, the exit code is 3, and nobody is left.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <regex>
#include <thread>

#include "job.hpp"
#include "ml/model.hpp"
#include "src/archive/archive_reader.hpp"
#include "src/checkpoint/run_snapshot_store.hpp"

namespace tramontane::testing {
namespace {

/// The small coupled job on two solver ranks and a learner, with a fault in it and a deadline of seconds.
Job run_with_fault(const Scratch& scratch, const std::string& fault, const std::string& settings = "") {
  const std::string deck = scratch.write("deck.yaml", small_deck());
  return run_job(scratch, "run", 3,
                 "run " + deck + " --set output.dir=" + scratch / "run" +
                     " --set ranks.learner=1 --set learner.steps=100000 --set stream.deadline=6s " + settings,
                 120, "TRAMONTANE_FAULT=" + fault);
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

void expect_picture(const Scratch& scratch, const Job& job) {
  EXPECT_EQ(job.code, 3) << job.err;
  for (const char* rank : {"\n  rank 0    solver ", "\n  rank 1    solver ", "\n  rank 2    learner "})
    EXPECT_EQ(count(job.err, rank), 1u) << rank << "\n" << job.err;
  EXPECT_EQ(count(job.err, "tramontane: error: "), 1u) << job.err;
  for (int tries = 0; tries < 100 && !processes_of(scratch).empty(); ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_TRUE(processes_of(scratch).empty());
}

// It computes for ever; the other solver waits in a blocking collective.
TEST(HungJob, ARankThatNeverComes) {
  const Scratch scratch("never-comes");
  const Job job = run_with_fault(scratch, "rank=1,at=lesson-sample:5,do=spin");
  expect_picture(scratch, job);
  EXPECT_NE(job.err.find("MPI_Allreduce (rank 1)"), std::string::npos) << job.err;
  EXPECT_NE(job.err.find("(running); last sign: lesson-sample 5"), std::string::npos) << job.err;
  EXPECT_NE(job.err.find("error: the job hangs: rank 1 does not come"), std::string::npos) << job.err;
}

// Rank 0, which would lead, is the one that is stopped.
TEST(HungJob, AStoppedRankIsNamed) {
  const Scratch scratch("stopped-rank");
  const Job job = run_with_fault(scratch, "rank=0,at=lesson-sample:5,do=stop");
  expect_picture(scratch, job);
  EXPECT_NE(job.err.find("does not answer: its process is stopped"), std::string::npos) << job.err;
  EXPECT_NE(job.err.find("error: the job hangs: rank 0 does not answer"), std::string::npos) << job.err;
}

// Its halo partner ends its wait by itself: an error of that rank, told with the places of all.
TEST(HungJob, AnErrorThatNobodyElseHears) {
  const Scratch scratch("own-limit");
  const Job job = run_with_fault(scratch, "rank=1,at=step:30,do=hang");
  expect_picture(scratch, job);
  EXPECT_NE(job.err.find("solver rank 0 waited 6 s for halo values of ranks 1"), std::string::npos) << job.err;
  EXPECT_NE(job.err.find("computes since"), std::string::npos) << job.err;
}

/// The first group of the expression where it is found; fails where it is not.
std::string found_in(const std::string& text, const std::string& expression) {
  std::smatch match;
  if (std::regex_search(text, match, std::regex(expression))) return match[1];
  ADD_FAILURE() << "not found: " << expression << "\n" << text;
  return "";
}

void expect_good_weights(const std::string& file, const std::string& step) {
  const Model model = Model::load(file);  // checks its checksum, and its self-test
  EXPECT_EQ(std::to_string(model.training_step), step);
  EXPECT_TRUE(std::ranges::all_of(model.weights, [](float weight) { return std::isfinite(weight); }));
}

// A solver rank is stopped in the middle of the lessons of a run with archive, snapshots and a learner at work: every
// other rank says where it is, for whom it waits and since when; the learner's weights are written then, and what was on
// the disk is whole.
TEST(HungJob, SavesWhatThereIs) {
  const Scratch scratch("saves");
  const std::string folder = scratch / "run", archive = scratch / "run/archive.h5";
  const Job job =
      run_with_fault(scratch, "rank=1,at=lesson-sample:50,do=stop;rank=0,at=lesson-sample:26+,do=delay:0.05",
                     "--set learner.validate_every=10 --set learner.deterministic=false --set gate.every=0 --set "
                     "checkpoint.every=6h --set stream.archive=" +
                         archive);
  expect_picture(scratch, job);
  found_in(job.err, R"(\n  rank 0    solver   \S+ process (\d+): waits [0-9.]+ s for .*\(rank 1\).*; last sign: \S+ \d+, [0-9.]+ s ago)");
  found_in(job.err, R"(\n  rank 1    solver   \S+ process (\d+): does not answer: its process is stopped)");
  found_in(job.err, R"(\n  rank 2    learner  \S+ process (\d+): (waits [0-9.]+ s for \S|computes since [0-9.]+ s).*; last sign: \S+ \d+, )");

  const std::string step = found_in(job.err, R"(watchdog: saved by rank 2: the weights of step (\d+) in )" + folder + "/model-emergency.h5");
  expect_good_weights(folder + "/model-emergency.h5", step);

  const std::string snapshot = found_in(job.err, R"(watchdog: saved by ranks 0, 2: the last snapshot, (\S+))");
  EXPECT_EQ(snapshot, list_snapshots(folder + "/snapshots").front());
  const SnapshotCheck check = check_snapshot(snapshot);
  EXPECT_EQ(check.damage, "");
  EXPECT_EQ(check.snapshot.place.number, 48);  // the last six hours that were whole

  const std::string samples = found_in(job.err, "watchdog: saved by rank 0: the archive " + archive + ", (\\d+) samples as of its last flush");
  const ArchiveReader reader(archive);
  EXPECT_EQ(std::to_string(reader.size()), samples);
  EXPECT_FALSE(reader.complete());
  EXPECT_GE(reader.size(), 48);  // a snapshot flushes it
  EXPECT_NO_THROW(reader.verify());
}

// A learner that hangs before a collective call of both, in a run that is not to go on without: its mate says for whom it
// waits, and saves.
TEST(HungJob, ALearnerStuckInACollectiveSaves) {
  const Scratch scratch("stuck-learner");
  const Job job = run_job(scratch, "run", 3,
                          "run " + scratch.write("deck.yaml", small_deck()) + " --set output.dir=" + scratch / "run" +
                              " --set ranks.learner=2 --set learner.when_lost=stop --set learner.validate_every=10"
                              " --set learner.steps=100000 --set stream.deadline=6s",
                          120, "TRAMONTANE_FAULT=rank=2,at=train-step:55,do=hang");
  EXPECT_EQ(job.code, 3) << job.err;
  found_in(job.err, R"(\n  rank 1    learner  \S+ process (\d+): waits [0-9.]+ s for .*; last sign: train-step 5[45], )");
  found_in(job.err, R"(\n  rank 2    learner  \S+ process (\d+): computes since [0-9.]+ s.*; last sign: train-step 55, )");
  const std::string step = found_in(job.err, R"(watchdog: saved by rank 1: the weights of step (\d+) in )");
  EXPECT_EQ(step, "50");
  expect_good_weights(scratch / "run/model-emergency.h5", step);
  EXPECT_TRUE(comes_true([&] { return processes_of(scratch).empty(); }, std::chrono::seconds(10)));
}

// A rank that is slow, not stuck: others wait for it longer than the deadline all in all, and the run ends well.
TEST(HungJob, SlowWorkIsNoHang) {
  const Scratch scratch("slow");
  const Job job = run_with_fault(scratch, "rank=*,at=forecast-lead:1,do=delay:4;rank=*,at=forecast-lead:2,do=delay:4",
                                 "--set learner.steps=20");
  EXPECT_EQ(job.code, 0) << job.err;
}

}  // namespace
}  // namespace tramontane::testing
