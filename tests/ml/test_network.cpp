#include <gtest/gtest.h>

#include "kernels/errors.hpp"
#include "tests/ml/network_fixture.hpp"

namespace tramontane {
namespace {

using testing::fill_input;
using testing::lively_parameters;
using testing::noise;
using testing::relative_difference;

NetworkSpec small_unet(int tiles = 1) {
  return {"unet", 3, 2, 4, 3, 8, tiles};
}

TEST(CounterRandom, PhiloxKnownAnswers) {
  // Known-answer vectors of the Random123 distribution for philox4x32-10.
  using Four = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Four{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Four{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Unet, CountsByHand) {
  // Width 4, 3 inputs, 2 outputs, 3 levels: 3x3 weights 3*4 + 4*4 + 4*8 + 8*8 + 8*16 + 16*16 encoding and
  // 24*8 + 8*8 + 12*4 + 4*4 decoding, 1x1 weights 4*2; biases 4+4+8+8+16+16+8+8+4+4+2.
  const NetworkGraph graph = build_graph(small_unet());
  const int level0 = 12 + 16 + 48 + 16, level1 = 32 + 64 + 192 + 64, level2 = 128 + 256;
  EXPECT_EQ(graph.parameters(), static_cast<std::size_t>(9 * (level0 + level1 + level2) + 8 + 82));
  EXPECT_EQ(graph.flops_per_sample(8), 2.0 * 6 * (64 * (9 * level0 + 8) + 16 * 9 * level1 + 4 * 9 * level2));
  // 1 + 4 (level 0) + 1 (pool) + 8 (level 1) + 2 (pool) + 16 (level 2) + 8 + 4 (decoder).
  EXPECT_EQ(graph.receptive_field(), 44);
}

TEST(Unet, UntrainedNetworkIsNeutralAndReproducible) {
  const NetworkGraph graph = build_graph(small_unet());
  const auto parameters = initial_parameters(graph, 3);
  EXPECT_EQ(parameters, initial_parameters(graph, 3));
  EXPECT_NE(parameters, initial_parameters(graph, 4));
  auto halo = std::make_shared<LocalHalo<float>>(Tiling(8, 1, 1), 1);
  Network<float> network(graph, make_backend<float>("reference"), halo, false);
  fill_input(network, 384, 1);
  network.set_parameters(parameters.data());
  network.forward();
  for (int k = 0; k < 384 * network.output_stride(); ++k) EXPECT_EQ(network.output()[k], 0.0f);
}

TEST(Unet, ImpossibleSpecsAreInputErrors) {
  NetworkSpec spec = small_unet();
  spec.levels = 5;
  EXPECT_THROW(build_graph(spec), InputError);
  spec = small_unet(2);
  spec.levels = 4;
  EXPECT_THROW(build_graph(spec), InputError);
  spec = small_unet();
  spec.type = "transformer";
  EXPECT_THROW(build_graph(spec), InputError);
  spec = small_unet();
  spec.width = 0;
  EXPECT_THROW(build_graph(spec), InputError);
}

// The loss <output, g> is piecewise linear along each parameter and deep products make it smooth: central differences
// in double at 1e-5 agree to 1e-6 unless a cell crosses the activation's kink within the step; few do, so the test
// asks for 1e-6 of the largest gradient on all, in two tilings.
class WholeNetworkGradient : public ::testing::TestWithParam<std::tuple<const char*, int>> {};

TEST_P(WholeNetworkGradient, MatchesFiniteDifferences) {
  NetworkSpec spec = small_unet(std::get<1>(GetParam()));
  spec.type = std::get<0>(GetParam());
  const NetworkGraph graph = build_graph(spec);
  const int samples = 2, cells = samples * 384;
  auto halo = std::make_shared<LocalHalo<double>>(Tiling(spec.n, spec.tiles_per_edge, 1), samples);
  Network<double> network(graph, make_backend<double>("reference"), halo, false);
  NetworkGradient<double> gradient(network, halo);
  fill_input(network, cells, 5);
  auto parameters = lively_parameters<double>(graph);
  const auto g = noise<double>(cells * spec.outputs, 6);
  for (int cell = 0; cell < cells; ++cell)
    for (int v = 0; v < spec.outputs; ++v)
      gradient.output_gradient()[cell * network.output_stride() + v] = g[cell * spec.outputs + v];
  auto value = [&] {
    network.set_parameters(parameters.data());
    network.forward();
    double sum = 0;
    for (int cell = 0; cell < cells; ++cell)
      for (int v = 0; v < spec.outputs; ++v)
        sum += network.output()[cell * network.output_stride() + v] * g[cell * spec.outputs + v];
    return sum;
  };
  value();
  std::vector<double> exact(parameters.size(), 0.0);
  gradient.backward(exact.data());
  const double largest = std::abs(
      *std::max_element(exact.begin(), exact.end(), [](double a, double b) { return std::abs(a) < std::abs(b); }));
  ASSERT_GT(largest, 1e-2);
  for (const ParameterBlock& block : graph.blocks)
    for (std::size_t k = 0; k < std::min<std::size_t>(block.size, 7); ++k) {
      const std::size_t at = block.offset + k * block.size / 7 % block.size;
      constexpr double step = 1e-5;
      const double old = parameters[at];
      parameters[at] = old + step;
      const double up = value();
      parameters[at] = old - step;
      const double down = value();
      parameters[at] = old;
      EXPECT_NEAR((up - down) / (2 * step), exact[at], 1e-6 * largest) << block.name << " " << at - block.offset;
    }
}

INSTANTIATE_TEST_SUITE_P(Networks, WholeNetworkGradient,
                         ::testing::Combine(::testing::Values("unet", "mlp"), ::testing::Values(1, 2)));

TEST(Unet, TilingChangesOnlyRoundOff) {
  // Twelve layers of single-precision sums in the same order but other images: the same to 1e-5.
  std::vector<std::vector<float>> outputs;
  for (int tiles : {1, 2}) {
    const NetworkSpec spec = small_unet(tiles);
    const Tiling grid(spec.n, tiles, 1);
    const NetworkGraph graph = build_graph(spec);
    auto halo = std::make_shared<LocalHalo<float>>(grid, 1);
    Network<float> network(graph, make_backend<float>("onednn"), halo, false);
    const auto parameters = lively_parameters<float>(graph);
    for (int c = 0; c < spec.inputs; ++c) {
      const auto channel = tiles_from_global(grid, noise<float>(384, 10 + c), 0, grid.tile_count());
      for (int cell = 0; cell < 384; ++cell) network.input()[cell * network.input_stride() + c] = channel[cell];
    }
    network.set_parameters(parameters.data());
    network.forward();
    std::vector<float> channel(384), global;
    for (int cell = 0; cell < 384; ++cell) channel[cell] = network.output()[cell * network.output_stride()];
    tiles_to_global(grid, channel.data(), 0, grid.tile_count(), global);
    outputs.push_back(global);
  }
  EXPECT_LT(relative_difference(outputs[0], outputs[1]), 1e-5);
}

TEST(Unet, OnednnGradientMatchesReference) {
  const NetworkSpec spec{"unet", 9, 4, 16, 3, 8, 1};
  const NetworkGraph graph = build_graph(spec);
  const auto parameters = lively_parameters<float>(graph);
  std::vector<float> gradients[2];
  for (int b = 0; b < 2; ++b) {
    auto halo = std::make_shared<LocalHalo<float>>(Tiling(8, 1, 1), 2);
    Network<float> network(graph, make_backend<float>(b == 0 ? "onednn" : "reference"), halo, false);
    NetworkGradient<float> gradient(network, halo);
    fill_input(network, 768, 5);
    network.set_parameters(parameters.data());
    network.forward();
    const auto g = noise<float>(768 * 4, 6);
    for (int cell = 0; cell < 768; ++cell)
      for (int v = 0; v < 4; ++v) gradient.output_gradient()[cell * network.output_stride() + v] = g[cell * 4 + v];
    gradients[b].assign(parameters.size(), 0.0f);
    gradient.backward(gradients[b].data());
  }
  // Round-off through eleven layers; a cell near the kink may take the other branch: 1e-4 of the largest gradient.
  EXPECT_LT(relative_difference(gradients[0], gradients[1]), 1e-4);
}

}  // namespace
}  // namespace tramontane
