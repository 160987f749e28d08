#include <gtest/gtest.h>

#include "kernels/bfloat16.hpp"
#include "kernels/errors.hpp"
#include "tests/ml/learner_fixture.hpp"

namespace tramontane {
namespace {

/// Two blocks: one weight that decays, one bias that does not.
NetworkGraph two_parameters() {
  NetworkGraph graph;
  graph.blocks = {{"w", {1, 1, 1, 1}, 0, 1, true, 1}, {"b", {1}, 1, 1, false, 0}};
  return graph;
}

/// A gradient as a reducer leaves it: status elements first.
struct Reduced {
  std::vector<float> values;
  explicit Reduced(std::vector<float> gradient) : values(kExactStatus, 0.0f) {
    values.insert(values.end(), gradient.begin(), gradient.end());
  }
  Reduced& not_finite() {
    values[kExactNotFinite] = kExactUnit;
    return *this;
  }
};

void step(Optimiser& optimiser, const Reduced& reduced) {
  optimiser.begin_step();
  optimiser.clip(reduced.values.data());
  optimiser.update(reduced.values.data());
}

OptimiserOptions plain() {
  OptimiserOptions o;
  o.learning_rate = 0.1;
  o.warmup_steps = 0;
  o.total_steps = 1000000000;  // the schedule stays at its start
  o.weight_decay = 0.5;
  o.clip_norm = 0;
  return o;
}

// Worked by hand. Step 1 with any gradient g: both corrected moments give g / |g| = sign(g), so w moves by
// -0.1 (1 + 0.5 w). Step 2 with the gradient doubled: m^ = (0.9 * 0.1 + 0.1 * 2) / 0.19 g = 0.29 / 0.19 g,
// v^ = (0.95 * 0.05 + 0.05 * 4) / 0.0975 g^2 = 0.2475 / 0.0975 g^2. Tolerance: a few units of single precision.
TEST(AdamW, TwoStepsByHand) {
  Optimiser optimiser(two_parameters(), plain(), {1.0f, 2.0f});
  step(optimiser, Reduced({3.0f, -0.2f}));
  EXPECT_NEAR(optimiser.parameters()[0], 1.0 - 0.1 * (1 + 0.5 * 1.0), 1e-6);
  EXPECT_NEAR(optimiser.parameters()[1], 2.0 + 0.1, 1e-6);
  // Moving average after step 1: decay (1 + 1) / (10 + 1).
  EXPECT_NEAR(optimiser.average()[0], 2.0 / 11 * 1.0 + 9.0 / 11 * 0.85, 1e-6);
  step(optimiser, Reduced({6.0f, -0.4f}));
  const double move = (0.29 / 0.19) / std::sqrt(0.2475 / 0.0975);
  EXPECT_NEAR(optimiser.parameters()[0], 0.85 - 0.1 * (move + 0.5 * 0.85), 1e-6);
  EXPECT_NEAR(optimiser.parameters()[1], 2.1 + 0.1 * move, 1e-6);
}

TEST(AdamW, ClippingScalesTheGradientToTheNorm) {
  OptimiserOptions options = plain();
  options.clip_norm = 1.0;
  options.epsilon = 10.0;  // makes the update depend on the gradient's size
  Optimiser optimiser(two_parameters(), options, {0.0f, 0.0f});
  step(optimiser, Reduced({3.0f, 4.0f}));
  EXPECT_EQ(optimiser.read_status().norm_squared, 25.0);
  EXPECT_NEAR(optimiser.parameters()[0], -0.1 * 0.6 / 10.6, 1e-7);
  EXPECT_NEAR(optimiser.parameters()[1], -0.1 * 0.8 / 10.8, 1e-7);
}

TEST(AdamW, ScheduleWarmsUpAndFallsToItsFloor) {
  OptimiserOptions options;
  options.learning_rate = 1e-3;
  options.warmup_steps = 10;
  options.total_steps = 110;
  options.floor_fraction = 0.1;
  const Optimiser optimiser(two_parameters(), options, {0.0f, 0.0f});
  EXPECT_DOUBLE_EQ(optimiser.learning_rate(1), 1e-4);
  EXPECT_DOUBLE_EQ(optimiser.learning_rate(10), 1e-3);
  EXPECT_DOUBLE_EQ(optimiser.learning_rate(60), 1e-3 * (0.1 + 0.9 * 0.5));  // half way: cos(pi / 2) = 0
  EXPECT_DOUBLE_EQ(optimiser.learning_rate(110), 1e-4);
  EXPECT_DOUBLE_EQ(optimiser.learning_rate(5000), 1e-4);
}

TEST(AdamW, FineTuningIsAScheduleOfItsOwn) {
  OptimiserOptions options = plain();
  options.learning_rate = 1e-3;
  options.floor_fraction = 0.1;
  options.total_steps = 1;
  options.tuning_steps = 20;
  options.tuning_fraction = 0.2;
  Optimiser optimiser(two_parameters(), options, {0.0f, 0.0f});
  EXPECT_DOUBLE_EQ(optimiser.learning_rate(1), 1e-4);       // the first schedule's floor
  EXPECT_DOUBLE_EQ(optimiser.learning_rate(2), 0.5 * 2e-4);  // warmed up over two of the twenty steps
  EXPECT_DOUBLE_EQ(optimiser.learning_rate(3), 2e-4);
  EXPECT_DOUBLE_EQ(optimiser.learning_rate(12), 2e-4 * (0.1 + 0.9 * 0.5));
  EXPECT_DOUBLE_EQ(optimiser.learning_rate(21), 2e-5);
  // The average begins anew: of the step that is first in the new schedule it takes 9 / 11 again.
  step(optimiser, Reduced({1.0f, 1.0f}));
  const OptimiserState before = optimiser.state();
  step(optimiser, Reduced({1.0f, 1.0f}));
  EXPECT_FLOAT_EQ(optimiser.average()[0], 2.0f / 11 * before.average[0] + 9.0f / 11 * optimiser.parameters()[0]);
}

TEST(AdamW, RestoredStateContinuesBitForBit) {
  Optimiser a(two_parameters(), plain(), {1.0f, 2.0f}), b(two_parameters(), plain(), {0.0f, 0.0f});
  step(a, Reduced({0.3f, -1.0f}));
  b.restore(a.state());
  step(a, Reduced({0.1f, 0.4f}));
  step(b, Reduced({0.1f, 0.4f}));
  EXPECT_EQ(a.state(), b.state());
  EXPECT_THROW(b.restore({}), InputError);
}

TEST(AdamW, NothingMovesFromAFailedStepUntilItIsRead) {
  Optimiser optimiser(two_parameters(), plain(), {1.0f, 2.0f});
  step(optimiser, Reduced({0.3f, -1.0f}));
  const OptimiserState good = optimiser.state();
  step(optimiser, Reduced({0.3f, -1.0f}).not_finite());
  step(optimiser, Reduced({0.1f, 0.4f}));  // itself without fault
  EXPECT_EQ(optimiser.peek_status().failed_step, 2);
  EXPECT_EQ(optimiser.read_status().failed_step, 2);
  EXPECT_EQ(optimiser.state(), good);
  step(optimiser, Reduced({0.1f, 0.4f}));
  EXPECT_EQ(optimiser.read_status().failed_step, 0);
  EXPECT_EQ(optimiser.step(), 2);
  EXPECT_NE(optimiser.state(), good);
}

// A network in 16 bits gets its weights from the same pass.
TEST(AdamW, WritesAShorterCopyOfTheParameters) {
  std::vector<float> gradient(5, 0.5f), p(5, 1.0f), m(5), v(5), average(5);
  const std::vector<unsigned char> decays(5, 0);
  std::vector<Bfloat16> low(5, Bfloat16(-1.0f));
  const StepStatus status;
  AdamwStep s{1, 0.5f, 0.9f, 0.95f, 1e-8f, 10.0f, 20.0f, 0.0f, 0.5f};
  s.learning_rate = -100.0f;
  using Space = Kokkos::DefaultHostExecutionSpace;
  adamw_update<Space>(&s, 5, &status, {gradient.data(), decays.data(), p.data(), m.data(), v.data(), average.data()},
                      low.data());
  for (int k = 0; k < 5; ++k) {
    EXPECT_NEAR(p[k], 101.0f, 1e-3f);
    EXPECT_EQ(low[k].bits, Bfloat16(p[k]).bits);
  }
}

}  // namespace
}  // namespace tramontane
