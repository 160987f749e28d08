// Rollouts of the hybrid from archived samples: the pairs that they give, and where they can start.
#include <gtest/gtest.h>

#include <cmath>
#include <span>

#include "job.hpp"
#include "ml/model.hpp"
#include "physics/elliptic/petsc_session.hpp"
#include "src/coupled/coarse_physics.hpp"
#include "src/coupled/hybrid.hpp"
#include "src/coupled/learning.hpp"
#include "src/coupled/rollout.hpp"
#include "src/coupled/rollout_starts.hpp"
#include "src/coupled/teacher.hpp"

namespace tramontane::testing {
namespace {

constexpr int kSamplesADay = 24;

TEST(RolloutSchedule, StagesFollowTheStepsOnSingleIntervals) {
  const RolloutSchedule schedule{10, {2, 4}, 5};
  EXPECT_EQ(schedule.steps(), 20);
  EXPECT_EQ(schedule.longest(), 4);
  EXPECT_FALSE(schedule.is_tuning(10));
  EXPECT_TRUE(schedule.is_tuning(11));
  EXPECT_TRUE(schedule.begins_after(10));
  EXPECT_FALSE(schedule.begins_after(11));
  const std::vector<int> expected = {1, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4};
  for (std::size_t k = 0; k < expected.size(); ++k)
    EXPECT_EQ(schedule.intervals(10 + static_cast<std::int64_t>(k)), expected[k]) << k;
  EXPECT_EQ(schedule.within_stage(11), 0);
  EXPECT_EQ(schedule.within_stage(15), 4);
  EXPECT_EQ(schedule.within_stage(16), 0);
  EXPECT_EQ(RolloutSchedule().longest(), 1);
  EXPECT_FALSE(RolloutSchedule().begins_after(0));
}

class RolloutTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(small_run().job.code, 0) << small_run().job.err;
    ArchiveSetOptions options;
    options.archives = {small_run().archive};
    archives_ = std::make_unique<ArchiveSet>(options);
    first_ = archives_->read(archives_->training().front());
    orography_.assign(first_.input.end() - cells(), first_.input.end());
    model_ = Model::load(small_run().folder + "/model.h5");
  }
  std::ptrdiff_t cells() const { return static_cast<std::ptrdiff_t>(kPanels) * first_.n * first_.n; }
  Rollout rollout() const { return {deck_, first_.n, orography_}; }
  Sample read(std::int64_t number) const { return archives_->read(number); }

  const Deck deck_ = parse_deck(small_deck(), "deck.yaml");
  std::unique_ptr<ArchiveSet> archives_;
  Sample first_;
  std::vector<float> orography_;
  Model model_;
};

double root_mean_square(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double difference = static_cast<double>(a[k]) - (b.empty() ? 0.0 : static_cast<double>(b[k]));
    sum += difference * difference;
  }
  return std::sqrt(sum / static_cast<double>(a.size()));
}

/// One variable of a target.
std::vector<float> part(std::span<const float> values, std::ptrdiff_t variable, std::ptrdiff_t cells) {
  return {values.begin() + variable * cells, values.begin() + (variable + 1) * cells};
}

TEST_F(RolloutTest, StartsHaveTheirTruthInTheSameTrajectory) {
  for (const int intervals : {1, 4, kSamplesADay - 1}) {
    const auto starts = rollout_starts(*archives_, archives_->training(), intervals);
    EXPECT_EQ(starts.size(), 3u * (kSamplesADay - static_cast<std::size_t>(intervals)));
    for (const RolloutStart& s : starts) {
      EXPECT_EQ(archives_->info(s.truth).trajectory, archives_->info(s.start).trajectory);
      EXPECT_EQ(archives_->info(s.truth).time, archives_->info(s.start).time + 3600.0 * intervals);
    }
  }
  EXPECT_TRUE(rollout_starts(*archives_, archives_->training(), kSamplesADay).empty());
  // A missing sample takes away the rollouts that begin or end there and no other.
  auto numbers = archives_->training();
  numbers.erase(numbers.begin() + 10);
  EXPECT_EQ(rollout_starts(*archives_, numbers, 4).size(), 3u * (kSamplesADay - 4) - 2);
}

// The archive is in single precision: a surface of 8000 m is known to 2.4e-4 m, over an hour 7e-8 m/s.
TEST_F(RolloutTest, OneIntervalIsTheLessonOfTheArchive) {
  Rollout rollout = this->rollout();
  for (const RolloutStart& s : {rollout_starts(*archives_, archives_->training(), 1).front(),
                                rollout_starts(*archives_, archives_->training(), 1).back()}) {
    const Sample lesson = read(s.start);
    const auto pair = rollout.pair(lesson, read(s.truth), 1);
    ASSERT_TRUE(pair);
    EXPECT_LT(root_mean_square(pair->input, lesson.input), 1e-7 * root_mean_square(lesson.input, {}));
    for (std::ptrdiff_t v = 0; v < 4; ++v) {
      const auto target = part(lesson.target, v, cells());
      EXPECT_LT(root_mean_square(part(pair->target, v, cells()), target), 5e-3 * root_mean_square(target, {})) << v;
    }
    EXPECT_EQ(pair->info.number, lesson.info.number);
  }
  EXPECT_NO_THROW(require_rollouts(deck_, *archives_, {0, {2, 4}, 10}));
}

// A network that gives zero leaves two runs of the coarse solver, whose results are known.
TEST_F(RolloutTest, WithoutACorrectionItIsTheCoarseSolver) {
  std::fill(model_.weights.begin(), model_.weights.end(), 0.0f);
  model_.make_self_test();
  const Sample start = read(3), truth = read(6);
  ASSERT_EQ(truth.info.time, start.info.time + 3 * 3600.0);
  Rollout rollout = this->rollout();
  rollout.set_model(model_);
  const auto pair = rollout.pair(start, truth, 3);
  ASSERT_TRUE(pair);

  const auto grid = std::make_shared<const Grid>(Tiling(first_.n, 1, 1), 0, kEarthRadius, 5);
  Simulation coarse(deck_, grid, MPI_COMM_SELF, {orography_.begin(), orography_.end()}, deck_.initial.mean_depth);
  const auto fields_of = [&](const Sample& sample) {
    CellFields fields;
    for (std::ptrdiff_t k = 0; k < cells(); ++k)
      fields.depth.push_back(static_cast<double>(sample.input[k]) - static_cast<double>(orography_[k]));
    for (int c = 0; c < 3; ++c)
      fields.velocity[c].assign(sample.input.begin() + (1 + c) * cells(), sample.input.begin() + (2 + c) * cells());
    return fields;
  };
  coarse.set_fields(fields_of(start));
  coarse.advance(3600);
  coarse.advance(3600);
  SampleValues input;
  for (const auto& variable : surrogate_inputs(coarse.fields(), coarse.solver().orography())) input.append(variable);
  EXPECT_TRUE(pair->input == input);
  coarse.advance(3600);
  const CellFields end = coarse.fields(), there = fields_of(truth);
  for (std::ptrdiff_t k = 0; k < cells(); ++k) {
    EXPECT_EQ(pair->target[k], static_cast<float>((there.depth[k] - end.depth[k]) / 3600)) << k;
    EXPECT_EQ(pair->target[2 * cells() + k], static_cast<float>((there.velocity[1][k] - end.velocity[1][k]) / 3600)) << k;
  }
}

// The states that are trained on are those of a forecast: from the same start the hybrid of the forecasts comes to the
// same fields, but for the archive's single precision.
TEST_F(RolloutTest, GoesAsTheHybridForecastDoes) {
  Rollout rollout = this->rollout();
  rollout.set_model(model_);
  const auto pair = rollout.pair(first_, read(4), 4);
  ASSERT_TRUE(pair);
  const Month month{1983, 1};
  ASSERT_EQ(first_.info.month, month.number());
  const PetscSession petsc;
  SolverPair solvers(deck_, MPI_COMM_SELF, month);
  const auto run = [&](bool corrected) {
    HybridCorrection correction(deck_, model_, solvers);
    solvers.start(month);
    Simulation& coarse = solvers.coarse();
    for (int k = 0; k < 3; ++k) {
      if (corrected)
        coarse.solver().set_forcing(correction_forcing(coarse.solver(), coarse.state(), correction(coarse.fields())));
      coarse.advance(3600);
    }
    coarse.solver().set_forcing({});
    std::vector<float> input;
    for (const auto& variable : surrogate_inputs(coarse.fields(), coarse.solver().orography()))
      input.insert(input.end(), variable.begin(), variable.end());
    return input;
  };
  const std::vector<float> hybrid = run(true), coarse = run(false);
  for (std::ptrdiff_t v = 0; v < 4; ++v) {
    const double corrected = root_mean_square(part(hybrid, v, cells()), part(coarse, v, cells()));
    EXPECT_LT(root_mean_square(part(pair->input, v, cells()), part(hybrid, v, cells())), 5e-3 * corrected) << v;
  }
}

TEST_F(RolloutTest, DependsOnSampleAndWeightsAlone) {
  Rollout one = rollout(), other = rollout();
  one.set_model(model_);
  other.set_model(model_);
  const Sample start = read(30), truth = read(34);
  const auto fresh = one.pair(start, truth, 4);
  ASSERT_TRUE(fresh);
  ASSERT_TRUE(other.pair(read(5), read(7), 2));
  // A state without fluid at one place is lost, and leaves no trace.
  Sample dry = read(5);
  dry.input[40] = -1e4f;
  EXPECT_FALSE(other.pair(dry, read(7), 2));
  Sample infinite = read(5);
  infinite.input[static_cast<std::size_t>(cells()) + 7] = INFINITY;
  EXPECT_FALSE(other.pair(infinite, read(7), 2));
  Model moved = model_;
  for (float& weight : moved.weights) weight *= 0.5f;
  moved.make_self_test();
  other.set_model(moved);
  const auto with_moved = other.pair(start, truth, 4);
  ASSERT_TRUE(with_moved);
  EXPECT_FALSE(with_moved->input == fresh->input);
  other.set_model(model_);
  const auto again = other.pair(start, truth, 4);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->input == fresh->input);
  EXPECT_TRUE(again->target == fresh->target);
}

TEST_F(RolloutTest, CoarsePhysicsSaysWhatDecidesTheResult) {
  const std::string own = coarse_physics(deck_);
  EXPECT_EQ(archives_->archives()[0]->physics(), own);
  EXPECT_NE(own.find("physics.reconstruction = 5\n"), std::string::npos) << own;
  EXPECT_NE(own.find("time.cfl = 0.8\n"), std::string::npos) << own;
  // What the integrator chooses by itself, spelled out, is the same.
  EXPECT_EQ(coarse_physics(parse_deck(small_deck() + "time: {cfl: 0.8}\n", "d")), own);
  EXPECT_NE(coarse_physics(parse_deck(small_deck() + "time: {dt: 100}\n", "d")), own);
  EXPECT_EQ(own.find("helmholtz"), std::string::npos) << own;
}

}  // namespace
}  // namespace tramontane::testing
