// Jobs in which a rank does not come: every rank's place is printed, the exit code is 3, and nobody is left.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "job.hpp"

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

// A rank that is slow, not stuck: others wait for it longer than the deadline all in all, and the run ends well.
TEST(HungJob, SlowWorkIsNoHang) {
  const Scratch scratch("slow");
  const Job job = run_with_fault(scratch, "rank=*,at=forecast-lead:1,do=delay:4;rank=*,at=forecast-lead:2,do=delay:4",
                                 "--set learner.steps=20");
  EXPECT_EQ(job.code, 0) << job.err;
}

}  // namespace
}  // namespace tramontane::testing
