#include <gtest/gtest.h>

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
  optimiser.update({3.0f, -0.2f}, 0);
  EXPECT_NEAR(optimiser.parameters()[0], 1.0 - 0.1 * (1 + 0.5 * 1.0), 1e-6);
  EXPECT_NEAR(optimiser.parameters()[1], 2.0 + 0.1, 1e-6);
  // Moving average after step 1: decay (1 + 1) / (10 + 1).
  EXPECT_NEAR(optimiser.average()[0], 2.0 / 11 * 1.0 + 9.0 / 11 * 0.85, 1e-6);
  optimiser.update({6.0f, -0.4f}, 0);
  const double move = (0.29 / 0.19) / std::sqrt(0.2475 / 0.0975);
  EXPECT_NEAR(optimiser.parameters()[0], 0.85 - 0.1 * (move + 0.5 * 0.85), 1e-6);
  EXPECT_NEAR(optimiser.parameters()[1], 2.1 + 0.1 * move, 1e-6);
}

TEST(AdamW, ClippingScalesTheGradientToTheNorm) {
  OptimiserOptions options = plain();
  options.clip_norm = 1.0;
  options.epsilon = 10.0;  // makes the update depend on the gradient's size
  Optimiser optimiser(two_parameters(), options, {0.0f, 0.0f});
  std::string culprit;
  const double norm = optimiser.gradient_norm({3.0f, 4.0f}, culprit);
  EXPECT_EQ(norm, 5.0);
  EXPECT_EQ(culprit, "");
  optimiser.update({3.0f, 4.0f}, norm);
  EXPECT_NEAR(optimiser.parameters()[0], -0.1 * 0.6 / 10.6, 1e-7);
  EXPECT_NEAR(optimiser.parameters()[1], -0.1 * 0.8 / 10.8, 1e-7);
  optimiser.gradient_norm({3.0f, NAN}, culprit);
  EXPECT_EQ(culprit, "b");
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

TEST(AdamW, RestoredStateContinuesBitForBit) {
  Optimiser a(two_parameters(), plain(), {1.0f, 2.0f}), b(two_parameters(), plain(), {0.0f, 0.0f});
  a.update({0.3f, -1.0f}, 0);
  b.restore(a.state());
  a.update({0.1f, 0.4f}, 0);
  b.update({0.1f, 0.4f}, 0);
  EXPECT_EQ(a.state(), b.state());
  EXPECT_THROW(b.restore({}), InputError);
}

}  // namespace
}  // namespace tramontane
