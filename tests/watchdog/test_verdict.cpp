// What the watchdog concludes from the places of all ranks, and how it prints them.
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "src/program/watchdog_picture.hpp"

namespace tramontane {
namespace {

constexpr double kDeadline = 300;

RankPlace waiting(double quiet, std::vector<int> ranks, const std::string& what = "MPI_Allreduce", double limit = 0) {
  RankPlace place;
  place.answers = true;
  place.quiet = quiet;
  place.waits = {{what, std::move(ranks), quiet, limit}};
  return place;
}

RankPlace computing(double quiet) {
  RankPlace place;
  place.answers = true;
  place.quiet = quiet;
  place.did = "step";
  place.did_number = 412;
  place.did_age = quiet;
  return place;
}

RankPlace silent(const std::string& found = "its process is stopped") {
  RankPlace place;
  place.found = found;
  return place;
}

TEST(Verdict, NobodyWaitsTooLong) {
  EXPECT_FALSE(judge({waiting(299, {1}), computing(1000)}, kDeadline).ends);
}

TEST(Verdict, SilentRankIsTheCulprit) {
  const HangVerdict verdict = judge({waiting(301, {1, 2}), silent(), waiting(280, {0, 1})}, kDeadline);
  EXPECT_TRUE(verdict.ends);
  EXPECT_EQ(verdict.culprits, std::vector<int>{1});
  EXPECT_EQ(verdict.why, "rank 1 does not answer");
}

// It answered a while ago: its node may only be busy.
TEST(Verdict, SilenceCountsFromTheLastAnswer) {
  RankPlace quiet = silent();
  quiet.heard_age = 20;
  EXPECT_FALSE(judge({waiting(5000, {1}), quiet}, kDeadline).ends);
  quiet.heard_age = 301;
  EXPECT_TRUE(judge({waiting(5000, {1}), quiet}, kDeadline).ends);
}

// 2 waits for 1, and 1 for 0, which computes.
TEST(Verdict, FollowsWaitsToWhoDoesNotCome) {
  const std::vector<RankPlace> places = {computing(400), waiting(350, {0}), waiting(350, {1}, "MPI_Recv")};
  const HangVerdict verdict = judge(places, kDeadline);
  EXPECT_TRUE(verdict.ends);
  EXPECT_EQ(verdict.culprits, std::vector<int>{0});
  EXPECT_EQ(verdict.why, "rank 0 does not come: no sign of life within 300 s");
}

// A learner that is done waits for the forecasts of hours.
TEST(Verdict, WorkThatGetsOnIsNoHang) {
  const HangVerdict verdict = judge({computing(2), waiting(5000, {0})}, kDeadline);
  EXPECT_FALSE(verdict.ends);
  EXPECT_EQ(verdict.why, "rank 0 gets on (step 412)");
}

TEST(Verdict, WorkOfARankNobodyWaitsForIsNoExcuse) {
  const HangVerdict verdict = judge({waiting(301, {1}), waiting(301, {0}, "MPI_Recv"), computing(1)}, kDeadline);
  EXPECT_TRUE(verdict.ends);
  EXPECT_EQ(verdict.culprits, (std::vector<int>{0, 1}));
}

// One rank went into another collective call than the rest.
TEST(Verdict, ARankInAnotherWaitIsNamed) {
  const HangVerdict verdict =
      judge({waiting(301, {1, 2}), waiting(301, {0, 2}), waiting(302, {0, 1}, "MPI_Bcast")}, kDeadline);
  EXPECT_TRUE(verdict.ends);
  EXPECT_EQ(verdict.culprits, std::vector<int>{2});
}

TEST(Verdict, TheLastToComeStartsTheClock) {
  EXPECT_FALSE(judge({waiting(301, {1}), waiting(20, {0})}, kDeadline).ends);
}

// Code that ends its waits itself goes first.
TEST(Verdict, OwnLimitsHaveTimeForTheirHandling) {
  EXPECT_FALSE(judge({waiting(305, {1}, "halo values", 300), silent()}, kDeadline).ends);
  EXPECT_TRUE(judge({waiting(311, {1}, "halo values", 300), silent()}, kDeadline).ends);
  const double outside = std::numeric_limits<double>::infinity();
  EXPECT_FALSE(judge({waiting(1e6, {}, "another job", outside), waiting(400, {0})}, kDeadline).ends);
}

TEST(Verdict, ContainedRanksDoNotCount) {
  // A learner that waits for a lost one, while the solver gets on without either.
  const std::vector<RankPlace> places = {computing(1), waiting(500, {2}), silent()};
  EXPECT_TRUE(judge(places, kDeadline).ends);
  EXPECT_FALSE(judge(places, kDeadline, {1, 2}).ends);
  // The solver itself hangs: that still counts.
  EXPECT_TRUE(judge({waiting(301, {2}), waiting(500, {2}), silent()}, kDeadline, {1, 2}).ends);
}

TEST(Verdict, AContainedRankMayBeTheOnlyOneLeftToNotice) {
  const HangVerdict verdict = judge({silent(), waiting(301, {0}, "the end of the run")}, kDeadline, {1});
  EXPECT_TRUE(verdict.ends);
  EXPECT_EQ(verdict.culprits, std::vector<int>{0});
  EXPECT_FALSE(judge({computing(1000), waiting(301, {0}, "the end of the run")}, kDeadline, {1}).ends);
}

TEST(Verdict, InnermostWaitThatKnowsItsRanksDecides) {
  RankPlace place = waiting(301, {1});
  place.waits.push_back({"MPI_Wait", {}, 1, 0});
  EXPECT_EQ(place.waits_for(0, 3), std::vector<int>{1});
  place.waits.push_back({"MPI_Recv", {2}, 1, 0});
  EXPECT_EQ(place.waits_for(0, 3), std::vector<int>{2});
  place.waits = {{"MPI_Wait", {}, 1, 0}};
  EXPECT_EQ(place.waits_for(0, 3), (std::vector<int>{1, 2}));
}

TEST(Verdict, OneRankAloneHangsInTheFileSystem) {
  EXPECT_TRUE(judge({waiting(301, {}, "MPI_File_write_at")}, kDeadline).ends);
}

TEST(Picture, SaysWhereForWhomAndSinceWhen) {
  RankPlace place = waiting(301, {1, 2}, "the gradients of the other learner ranks");
  place.waits.push_back({"MPI_Wait", {}, 12.25, 0});
  place.did = "train-step";
  place.did_number = 40;
  place.did_age = 300.7;
  const std::string text = picture_text({place, computing(7), silent()},
                                        {{"solver", "n1", 11}, {"learner", "n1", 12}, {"learner", "n2", 13}});
  EXPECT_EQ(
      text,
      "  rank 0    solver   n1 process 11: waits 301 s for the gradients of the other learner ranks (ranks 1, 2), in "
      "it 12 s for MPI_Wait; last sign: train-step 40, 301 s ago\n"
      "  rank 1    learner  n1 process 12: computes since 7.0 s; last sign: step 412, 7.0 s ago\n"
      "  rank 2    learner  n2 process 13: does not answer: its process is stopped\n");
}

TEST(Picture, ManyAlikeShareALineAndTheRareComeFirst) {
  std::vector<RankPlace> places(1000, waiting(301, {0, 5}));
  places[700] = silent();
  const std::vector<RankFacts> facts(1000, {"solver", "n", 1});
  const std::string text = picture_text(places, facts);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
  EXPECT_LT(text.find("rank 700"), text.find("999 ranks (0-699, 701-999)")) << text;
}

TEST(Picture, SurvivesTheWire) {
  RankPlace place = waiting(301.5, {1, 2}, "x \"y\"\n", std::numeric_limits<double>::infinity());
  place.did = "step";
  place.did_number = 1234567890123;
  place.thread_state = "running";
  const std::string line = to_json(place).dump();
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const RankPlace read = place_from_json(nlohmann::json::parse(line));
  EXPECT_TRUE(read.answers);
  ASSERT_EQ(read.waits.size(), 1u);
  EXPECT_EQ(read.waits[0].what, "x \"y\"\n");
  EXPECT_EQ(read.waits[0].ranks, (std::vector<int>{1, 2}));
  EXPECT_GT(read.waits[0].own_limit, 1e200);
  EXPECT_EQ(read.quiet, 301.5);
  EXPECT_EQ(read.did_number, 1234567890123);
  EXPECT_EQ(read.thread_state, "running");
}

TEST(Picture, RankLists) {
  EXPECT_EQ(rank_list({}), "");
  EXPECT_EQ(rank_list({3}), "3");
  EXPECT_EQ(rank_list({0, 1}), "0, 1");
  EXPECT_EQ(rank_list({0, 1, 2, 5, 7, 8, 9}), "0-2, 5, 7-9");
}

}  // namespace
}  // namespace tramontane
