// What keys must satisfy together, and the deal of ranks to roles.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/errors.hpp"
#include "ml/backend.hpp"
#include "src/deck/checks.hpp"

namespace tramontane {
namespace {

std::string error_of(const std::vector<std::string>& overrides, Command command = Command::run, int ranks = 2) {
  try {
    check_deck(parse_deck("", "deck.yaml", overrides), command, ranks);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

bool mentions(const std::string& message, std::initializer_list<const char*> words) {
  for (const char* word : words)
    if (message.find(word) == std::string::npos) return false;
  return true;
}

TEST(Checks, DefaultsPass) {
  EXPECT_EQ(error_of({}), "");
}

TEST(Checks, GridsMustNest) {
  EXPECT_EQ(error_of({"grid.n=48", "surrogate.coarse_n=20"}),
            "--set: surrogate.coarse_n = 20 does not nest in grid.n = 48: surrogate.coarse_n may be 8, 12, 16, 24");
  EXPECT_TRUE(mentions(error_of({"grid.n=47"}), {"grid.n = 47", "choose another grid.n"}));
  EXPECT_TRUE(mentions(error_of({"surrogate.coarse_n=48"}), {"does not nest"}));
  // Alone, the solver asks nothing of the coarse grid.
  EXPECT_EQ(error_of({"grid.n=47", "surrogate.kind=none"}), "");
}

TEST(Checks, TilesMustFit) {
  EXPECT_TRUE(mentions(error_of({"grid.tiles_per_edge=5"}), {"grid.n = 48", "grid.tiles_per_edge = 5"}));
  EXPECT_TRUE(mentions(error_of({"grid.tiles_per_edge=16", "surrogate.kind=none"}), {"tiles of 3 cells"}));
  EXPECT_TRUE(mentions(error_of({"grid.n=4", "surrogate.kind=none"}), {"at least 8"}));
  EXPECT_TRUE(mentions(error_of({"grid.n=96", "grid.tiles_per_edge=4", "surrogate.coarse_n=6"}), {"coarse_n = 6"}));
}

TEST(Checks, GuardTapersBetweenThresholdAndCutoff) {
  EXPECT_EQ(error_of({"guard.cutoff=3"}),
            "--set: guard.cutoff = 3 is not above guard.threshold = 3: raise it, or lower the threshold");
  EXPECT_EQ(error_of({"guard.threshold=6", "guard.cutoff=6.5"}), "");
}

TEST(Checks, NetworkLevelsMustHalveTheCoarseGrid) {
  EXPECT_TRUE(mentions(error_of({"surrogate.network.levels=5"}), {"surrogate.network.levels = 5", "multiple of 16"}));
  EXPECT_EQ(error_of({"surrogate.network.levels=4"}), "");
}

TEST(Checks, NetworkMustFitGridTilesAndItself) {
  EXPECT_TRUE(mentions(error_of({"surrogate.network.type=transformer"}), {"convnext, mlp, unet"}));
  // Coarse tiles of 24 / 3 = 8 cells can be halved three times and not four.
  EXPECT_EQ(error_of({"grid.tiles_per_edge=3", "surrogate.network.levels=4"}), "");
  // Panels of 48 cells can be halved four times, tiles of 24 cells only three times.
  EXPECT_TRUE(
      mentions(error_of({"grid.n=96", "surrogate.coarse_n=48", "grid.tiles_per_edge=2", "surrogate.network.levels=5"}),
               {"surrogate.network.levels = 5", "make 24"}));
  EXPECT_TRUE(mentions(error_of({"surrogate.network.type=convnext", "surrogate.network.dilations=[1, 25]"}),
                       {"surrogate.network.dilations", "25", "panel of 24 cells"}));
  EXPECT_TRUE(mentions(error_of({"surrogate.network.dilations=[0]", "surrogate.network.type=convnext"}),
                       {"surrogate.network.dilations", "at least 1"}));
  EXPECT_TRUE(mentions(error_of({"surrogate.network.norm=group", "surrogate.network.groups=5"}),
                       {"surrogate.network.width = 32", "5 group"}));
  EXPECT_EQ(
      error_of({"surrogate.network.type=convnext", "surrogate.network.norm=layer", "surrogate.network.kernels=polar"}),
      "");
}

TEST(Checks, NoMonthIsBothTrainedAndTested) {
  EXPECT_EQ(error_of({"teach.months=[1983-01, 1991-01]"}),
            "--set: the month 1991-01 stands in both teach.months and forecast.starts: a month that is trained on can "
            "not test, so drop it from one");
  EXPECT_TRUE(mentions(error_of({"teach.validation=1983-01"}), {"1983-01", "initial.month", "teach.validation"}));
  EXPECT_TRUE(mentions(error_of({"teach.validation=1992-07"}), {"teach.validation", "forecast.starts"}));
  EXPECT_TRUE(mentions(error_of({"teach.months=[1984-01, 1984-01]"}), {"twice"}));
}

TEST(Checks, IntervalsMustDivide) {
  EXPECT_TRUE(mentions(error_of({"stream.every=90min"}), {"stream.every = 90min", "surrogate.interval = 1h"}));
  EXPECT_TRUE(mentions(error_of({"output.every=7h"}), {"forecast.days", "output.every = 7h"}));
  EXPECT_TRUE(mentions(error_of({"output.every=30min"}), {"surrogate.interval"}));
  EXPECT_TRUE(mentions(error_of({"teach.days=0.01"}), {"teach.days", "stream.every"}));
  // A tenth of a day is no exact binary fraction, and yet a multiple.
  EXPECT_EQ(error_of({"forecast.days=1.1", "output.every=2.4h", "surrogate.interval=0.1h", "stream.every=0.1h"}), "");
}

TEST(Checks, TrainingMustBeAbleToStart) {
  EXPECT_TRUE(mentions(error_of({"teach.days=2"}), {"learner.watermark = 64", "48 samples"}));
  EXPECT_TRUE(mentions(error_of({"learner.reservoir=32"}), {"learner.reservoir = 32"}));
  EXPECT_TRUE(mentions(error_of({"learner.steps=50"}), {"learner.warmup"}));
  EXPECT_TRUE(mentions(error_of({"learner.model=a/b.h5"}), {"learner.model"}));
}

TEST(Checks, CommandsAskForWhatTheyNeed) {
  EXPECT_TRUE(mentions(error_of({}, Command::train, 1), {"learner.archives"}));
  EXPECT_EQ(error_of({"learner.archives=a.h5"}, Command::train, 1), "");
  EXPECT_TRUE(mentions(error_of({}, Command::forecast, 1), {"surrogate.model = none", "name the model file"}));
  EXPECT_TRUE(mentions(error_of({"surrogate.kind=none"}, Command::forecast, 1), {"set it to correction"}));
  EXPECT_EQ(error_of({"surrogate.model=m.h5"}, Command::forecast, 1), "");
  EXPECT_TRUE(
      mentions(error_of({"surrogate.model=m.h5", "forecast.starts=[]"}, Command::forecast, 1), {"forecast.starts"}));
}

TEST(Layout, AutoDealsAQuarterToTheLearner) {
  const auto layout = [](int ranks, const std::vector<std::string>& overrides = {}) {
    const RankLayout l = rank_layout(parse_deck("", "deck.yaml", overrides), Command::run, ranks);
    return std::pair(l.solvers, l.learners);
  };
  EXPECT_EQ(layout(2), std::pair(1, 1));
  EXPECT_EQ(layout(4), std::pair(3, 1));
  EXPECT_EQ(layout(8), std::pair(6, 2));
  EXPECT_EQ(layout(16), std::pair(6, 10));  // only six tiles
  EXPECT_EQ(layout(16, {"grid.tiles_per_edge=2"}), std::pair(12, 4));
  EXPECT_EQ(layout(5, {"ranks.learner=2"}), std::pair(3, 2));
  EXPECT_EQ(layout(5, {"ranks.solver=1"}), std::pair(1, 4));
  EXPECT_EQ(layout(6, {"surrogate.kind=none"}), std::pair(6, 0));
}

TEST(Checks, BackEndsThatTheBuildLacksAreRefused) {
  const std::vector<std::string> known = backend_names();
  const std::string error = error_of({"surrogate.backend=cudnn"});
  if (std::find(known.begin(), known.end(), "cudnn") == known.end()) {
    EXPECT_TRUE(mentions(error, {"surrogate.backend = cudnn", "choose one of onednn"})) << error;
  } else {
    EXPECT_EQ(error, "");
  }
  EXPECT_TRUE(mentions(error_of({"learner.precision=tf32"}), {"learner.precision = tf32", "surrogate.backend"}));
}

TEST(Layout, TooFewOrTooManyRanksAreRefused) {
  EXPECT_TRUE(mentions(error_of({}, Command::run, 1), {"at least 2 ranks"}));
  EXPECT_TRUE(mentions(error_of({"ranks.solver=3"}, Command::run, 2), {"ranks.solver = 3"}));
  EXPECT_TRUE(mentions(error_of({"ranks.solver=2", "ranks.learner=2"}, Command::run, 5), {"the 5 ranks"}));
  EXPECT_TRUE(mentions(error_of({"ranks.learner=1", "learner.batch=16"}, Command::run, 9), {"8 solver ranks"}));
  EXPECT_TRUE(mentions(error_of({"surrogate.kind=none"}, Command::run, 7), {"7 ranks for 6 tiles"}));
  EXPECT_TRUE(mentions(error_of({"ranks.learner=3"}, Command::run, 4), {"learner.batch = 16"}));
}

}  // namespace
}  // namespace tramontane
