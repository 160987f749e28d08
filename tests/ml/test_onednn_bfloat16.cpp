// Networks whose activations have 16 bits: oneDNN against the reference, and both against single precision.
#include <gtest/gtest.h>

#include "kernels/errors.hpp"
#include "tests/ml/learner_fixture.hpp"

namespace tramontane {
namespace {

using testing::lively_parameters;
using testing::noise;
using testing::relative_difference;

/// The back end of these tests, or null where the processor does not compute with 16 bits and the test is skipped.
std::shared_ptr<Backend<Bfloat16>> onednn() {
  try {
    return make_backend<Bfloat16>("onednn");
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("learner.precision: f32"), std::string::npos) << error.what();
    return nullptr;
  }
}

std::vector<Bfloat16> rounded_noise(std::size_t size, std::uint64_t seed) {
  std::vector<Bfloat16> values;
  for (float v : noise<float>(size, seed)) values.push_back(static_cast<Bfloat16>(v));
  return values;
}

class OnednnBfloat16 : public ::testing::TestWithParam<ConvolutionShape> {};

// Both round what they store to 8 significant bits, half of 2^-7 at most, and may round a sum next to a tie
// differently: one unit, 2^-7 of a value. Gradients of parameters are sums in single precision: 1e-5 as without 16
// bits. Weights that 16 bits hold leave no other difference.
TEST_P(OnednnBfloat16, MatchesReference) {
  auto fast = onednn();
  if (!fast) GTEST_SKIP() << "the processor does not compute with 16 bits";
  const ConvolutionShape shape = GetParam();
  const ConvolutionExtents& e = shape.extents;
  const std::size_t x_size = e.x_at(e.images, 0, 0), y_size = e.y_at(e.images, 0, 0);
  auto x = rounded_noise(x_size, 1), dy = rounded_noise(y_size, 4);
  for (std::size_t k = 0; k < x_size; ++k)
    if (static_cast<int>(k % e.in_stride) >= e.in_channels) x[k] = static_cast<Bfloat16>(0.0f);
  for (std::size_t k = 0; k < y_size; ++k)
    if (static_cast<int>(k % e.out_stride) >= e.out_channels) dy[k] = static_cast<Bfloat16>(0.0f);
  std::vector<float> weights, bias = noise<float>(e.out_channels, 3);
  for (Bfloat16 w : rounded_noise(e.weights(), 2)) weights.push_back(w);
  std::vector<Bfloat16> y[2], dx[2];
  std::vector<float> dw[2], db[2];
  const std::shared_ptr<Backend<Bfloat16>> backends[2] = {fast, make_backend<Bfloat16>("reference")};
  for (int b = 0; b < 2; ++b) {
    y[b].assign(y_size, static_cast<Bfloat16>(-1.0f));
    dx[b].assign(x_size, static_cast<Bfloat16>(-1.0f));
    dw[b].assign(e.weights(), 0.5f);
    db[b].assign(e.out_channels, 0.5f);
    auto layer = backends[b]->convolution(shape);
    layer->set_weights(weights.data(), bias.data());
    layer->forward(x.data(), y[b].data());
    layer->backward_data(dy.data(), dx[b].data());
    layer->backward_weights(x.data(), dy.data(), dw[b].data(), db[b].data());
  }
  auto within_a_unit = [](const std::vector<Bfloat16>& a, const std::vector<Bfloat16>& b) {
    const double floor = 1e-5;  // sums that cancel differ by the round-off of their terms
    double worst = 0;
    for (std::size_t k = 0; k < a.size(); ++k) {
      const double difference = std::abs(static_cast<float>(a[k]) - static_cast<float>(b[k]));
      worst = std::max(worst, difference / (std::abs(static_cast<float>(b[k])) + floor));
    }
    return worst;
  };
  EXPECT_LE(within_a_unit(y[0], y[1]), 0x1p-7);
  EXPECT_LE(within_a_unit(dx[0], dx[1]), 0x1p-7);
  EXPECT_LT(relative_difference(dw[0], dw[1]), 1e-5);
  EXPECT_LT(relative_difference(db[0], db[1]), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, OnednnBfloat16,
    ::testing::Values(ConvolutionShape{{6, 24, 24, 3, 9, 16, 16, 16}, Activation::capped_leaky_relu},
                      ConvolutionShape{{1, 12, 12, 3, 16, 32, 16, 32}, Activation::capped_leaky_relu},
                      ConvolutionShape{{6, 6, 6, 3, 96, 32, 96, 32}, Activation::capped_leaky_relu},
                      ConvolutionShape{{2, 8, 8, 3, 16, 16, 16, 16, 2}, Activation::capped_leaky_relu},
                      ConvolutionShape{{6, 24, 24, 1, 16, 4, 16, 16}, Activation::linear}));

// Rounding to a relative 2^-9 lets an activation change branch in about one of 600 cells of each layer, and the slope
// there then differs by 0.9: 4 % of a block's gradient in the root mean square, 12 % after eleven layers (a tenth is
// found). The output gradient is noise here, so nothing averages out. A fifth is let pass; a mistake leaves more than
// one.
TEST(UnetBfloat16, GradientStaysNearSinglePrecision) {
  auto fast = onednn();
  if (!fast) GTEST_SKIP() << "the processor does not compute with 16 bits";
  const NetworkGraph graph = build_graph({"unet", 9, 4, 16, 3, 8, 1});
  const auto parameters = lively_parameters<float>(graph);
  const auto weight = noise<float>(768 * 4, 6), values = noise<float>(768 * 9, 5);
  auto gradient_of = [&]<class Scalar>(std::shared_ptr<Backend<Scalar>> backend) {
    auto halo = std::make_shared<LocalHalo<Scalar>>(Tiling(8, 1, 1), 2);
    Network<Scalar> network(graph, backend, halo, false);
    NetworkGradient<Scalar> gradient(network, halo);
    for (int cell = 0; cell < 768; ++cell)
      for (int v = 0; v < 9; ++v)
        network.input()[cell * network.input_stride() + v] = static_cast<Scalar>(values[cell * 9 + v]);
    network.set_parameters(parameters.data());
    network.forward();
    for (int cell = 0; cell < 768; ++cell)
      for (int v = 0; v < 4; ++v)
        gradient.output_gradient()[cell * network.output_stride() + v] = static_cast<Scalar>(weight[cell * 4 + v]);
    std::vector<float> result(parameters.size(), 0.0f);
    gradient.backward(result.data());
    return result;
  };
  const auto exact = gradient_of(make_backend<float>("onednn")), coarse = gradient_of(fast);
  for (const ParameterBlock& block : graph.blocks) {
    double difference = 0, magnitude = 0;
    for (std::size_t k = block.offset; k < block.offset + block.size; ++k) {
      difference += std::pow(static_cast<double>(coarse[k]) - exact[k], 2);
      magnitude += std::pow(static_cast<double>(exact[k]), 2);
    }
    EXPECT_LT(std::sqrt(difference / magnitude), 0.2) << block.name;
    EXPECT_GT(difference, 0) << block.name << ": not computed with 16 bits";
  }
}

// A hundred steps from the same weights on the same batches: rounding perturbs the path, not where it leads. What is
// left of the loss is less than half of its first value, and within a twentieth the same.
TEST(TrainerBfloat16, LearnsAsSinglePrecisionDoes) {
  if (!onednn()) GTEST_SKIP() << "the processor does not compute with 16 bits";
  const auto samples = testing::synthetic_samples(24);
  const auto batch = testing::pointers(samples, 0, 16), held_out = testing::pointers(samples, 16, 8);
  double first = 0, reached[2];
  for (int bf16 = 0; bf16 < 2; ++bf16) {
    TrainerOptions options;
    options.optimiser.total_steps = 100;
    options.optimiser.warmup_steps = 10;
    options.optimiser.learning_rate = 3e-3;
    options.precision = bf16 ? "bf16" : "f32";
    Trainer trainer(testing::learner_spec(), options, testing::static_fields(), MPI_COMM_SELF, "onednn");
    trainer.set_normaliser(testing::normaliser_of(samples));
    for (int step = 0; step < 100; ++step) {
      const double loss = trainer.step(batch).loss;
      if (step == 0) first = loss;
    }
    reached[bf16] = trainer.validate(held_out).loss;
  }
  EXPECT_LT(reached[0], 0.5 * first);
  EXPECT_NEAR(reached[1], reached[0], 0.05 * reached[0]);
  EXPECT_NE(reached[1], reached[0]);
}

TEST(TrainerBfloat16, UnknownPrecisionIsAnInputError) {
  EXPECT_THROW(check_precision("f8", "onednn"), InputError);
  EXPECT_NO_THROW(check_precision("f32", "onednn"));
}

}  // namespace
}  // namespace tramontane
