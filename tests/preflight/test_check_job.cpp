// `tramontane check` on the ranks of a job: what it prints and its exit code.
#include <gtest/gtest.h>

#include "job.hpp"

namespace tramontane::testing {
namespace {

Job check_job(const Scratch& scratch, int ranks, const std::string& settings = "", const std::string& fault = "") {
  const std::string deck = scratch.write("deck.yaml", small_deck());
  return run_job(scratch, "check", ranks, "check " + deck + " --set output.dir=" + scratch / "run " + settings, 120,
                 fault.empty() ? "" : "TRAMONTANE_FAULT=" + fault);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class CheckJob : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Ranks, CheckJob, ::testing::Values(2, 3, 4));

TEST_P(CheckJob, SaysReadyAndWhatItFound) {
  const Scratch scratch("check-job");
  const Job job = check_job(scratch, GetParam());
  EXPECT_EQ(job.code, 0) << job.out << job.err;
  const std::string last = std::to_string(GetParam() - 1);
  for (const std::string& part :
       {std::string("\nranks: "), "\n  " + last + "      learner",
        std::string("\nmessages (every pair, one after the other)"), std::string("above, below diagonal"),
        std::string("transport, found"), std::string("\n  frames  "), std::string("\n  clocks  "), std::string("\nmemory\n"),
        std::string("\nfile systems\n"), std::string("from all ranks at once: written and synced"),
        "\nverdict: ready, " + std::to_string(GetParam()) + " rank(s) on 1 node(s)"})
    EXPECT_TRUE(has(job.out, part)) << part << "\n" << job.out;
  EXPECT_FALSE(has(job.out, "wrong:")) << job.out;
  EXPECT_FALSE(std::filesystem::exists(scratch / "run"));
}

TEST(CheckJob, OneRankChecksThePlanAlone) {
  const Scratch scratch("check-plan");
  const Job job = check_job(scratch, 1);
  EXPECT_EQ(job.code, 0) << job.err;
  EXPECT_FALSE(has(job.out, "verdict")) << job.out;
}

TEST(CheckJob, TooLittleMemory) {
  const Scratch scratch("check-memory");
  // A grid of half a kilometre on two ranks.
  const Job job = check_job(scratch, 2, "--set grid.n=15000 --set surrogate.coarse_n=7500");
  EXPECT_EQ(job.code, 2) << job.out << job.err;
  EXPECT_TRUE(has(job.out, "\nwrong: the ranks on ")) << job.out;
  EXPECT_TRUE(has(job.out, "\nverdict: not ready, ")) << job.out;
}

TEST(CheckJob, AFolderThatCanNotBeWritten) {
  const Scratch scratch("check-folder");
  const std::string file = scratch.write("file", "in the way");
  const Job job = check_job(scratch, 2, "--set output.dir=" + file + "/run");
  EXPECT_EQ(job.code, 2) << job.out << job.err;
  EXPECT_TRUE(has(job.err, "output.dir")) << job.err;
}

// Two jobs meet in a folder that both must be able to write to, whichever of them is planned.
TEST(CheckJob, TheFolderWhereTwoJobsMeet) {
  const Scratch scratch("check-exchange");
  const std::string file = scratch.write("file", "in the way");
  for (const char* planned : {"", " --for train"})
    for (const int ranks : {1, 2}) {
      const Job refused = check_job(scratch, ranks, "--set exchange.dir=" + file + "/x" + planned);
      EXPECT_EQ(refused.code, 2) << refused.out << refused.err;
      EXPECT_TRUE(has(refused.err, "exchange.dir = " + file + "/x can not be written to")) << refused.err;
      EXPECT_EQ(read_text(file), "in the way");
      const Job good = check_job(scratch, ranks, "--set exchange.dir=" + scratch / "x" + planned);
      EXPECT_EQ(good.code, 0) << good.out << good.err;
      EXPECT_TRUE(has(good.out, scratch / "x (writable)")) << good.out;
      EXPECT_FALSE(std::filesystem::exists(scratch / "x"));
    }
}

TEST(CheckJob, ARankThatDoesNotTalk) {
  const Scratch scratch("check-silent");
  const Job job = check_job(scratch, 3, "", "rank=1,at=preflight,do=stop");
  EXPECT_EQ(job.code, 2) << job.out << job.err;
  EXPECT_TRUE(has(job.err, "and rank 1 on ")) << job.err;
  EXPECT_TRUE(has(job.err, "can not exchange 8 bytes within")) << job.err;
  EXPECT_TRUE(processes_of(scratch).empty());
}

}  // namespace
}  // namespace tramontane::testing
