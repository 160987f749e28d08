// Architectures from the registry, with every choice that a deck has.
#include <gtest/gtest.h>

#include <cstring>
#include <span>

#include "kernels/checksum.hpp"
#include "kernels/errors.hpp"
#include "ml/networks/network_kind.hpp"
#include "ml/surrogate.hpp"
#include "tests/ml/learner_fixture.hpp"

namespace tramontane {
namespace {

using testing::noise;
using testing::relative_difference;

NetworkSpec small(const std::string& type, const std::string& norm = "none", const std::string& kernels = "shared",
                  int tiles = 1) {
  NetworkSpec spec{type, 3, 2, 8, 2, 8, tiles};
  spec.blocks = 3;
  spec.dilations = {1, 3};
  spec.norm = norm;
  spec.groups = 2;
  spec.kernels = kernels;
  return spec;
}

TEST(NetworkKind, UnknownNamesAreInputErrorsThatNameTheChoices) {
  auto message = [](const NetworkSpec& spec) {
    try {
      build_graph(spec);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message(small("transformer")),
            "surrogate.network.type = transformer is unknown: choose one of convnext, mlp, unet");
  EXPECT_NE(message(small("unet", "batch")).find("none, layer, group"), std::string::npos);
  EXPECT_NE(message(small("unet", "none", "six")).find("shared, polar"), std::string::npos);
  NetworkSpec spec = small("convnext", "group");
  spec.groups = 3;
  EXPECT_NE(message(spec).find("surrogate.network.groups"), std::string::npos);
  spec = small("convnext");
  spec.dilations = {1, 9};
  EXPECT_NE(message(spec).find("surrogate.network.dilations"), std::string::npos);
  spec.dilations = {};
  EXPECT_NE(message(spec).find("at least one"), std::string::npos);
}

TEST(Convnext, CountsByHand) {
  // Width 8, three blocks of 3 x 3 to 16 channels and 1 x 1 back, stem from 3 and output to 2 channels.
  const NetworkGraph graph = build_graph(small("convnext", "layer"));
  const int stem = 9 * 3 * 8, block = 9 * 8 * 16 + 16 * 8, output = 8 * 2;
  EXPECT_EQ(graph.parameters(), static_cast<std::size_t>(stem + 8 + 3 * (block + 16 + 8 + 16) + 16 + output + 2));
  EXPECT_EQ(graph.flops_per_sample(8), 2.0 * 6 * 64 * (stem + 3 * block + output));
  EXPECT_EQ(graph.receptive_field(), 1 + 2 * (1 + 1 + 3 + 1));
  EXPECT_EQ(graph.nodes[2].attributes.dilation, 1);
  EXPECT_EQ(graph.nodes[6].attributes.dilation, 3);
  // Twice the weights at the poles, none more in the normalisation.
  EXPECT_EQ(build_graph(small("convnext", "layer", "polar")).parameters(),
            2 * static_cast<std::size_t>(stem + 8 + 3 * (block + 16 + 8) + output + 2) + 3 * 16 + 16);
}

TEST(Convnext, UntrainedNetworkIsNeutralAndStartsWithUnitScales) {
  const NetworkGraph graph = build_graph(small("convnext", "layer", "polar"));
  const auto parameters = initial_parameters(graph, 3);
  for (const ParameterBlock& block : graph.blocks)
    for (std::size_t k = 0; k < block.size; ++k) {
      const float value = parameters[block.offset + k];
      if (block.initial != InitialValues::he) {
        ASSERT_EQ(value, block.initial == InitialValues::one ? 1.0f : 0.0f);
      }
    }
  auto halo = std::make_shared<LocalHalo<float>>(Tiling(8, 1, 1), 1);
  Network<float> network(graph, make_backend<float>("onednn"), halo, false);
  testing::fill_input(network, 384, 1);
  network.set_parameters(parameters.data());
  network.forward();
  for (int k = 0; k < 384 * network.output_stride(); ++k) ASSERT_EQ(network.output()[k], 0.0f);
}

TEST(Network, HeadsOfBlocksAreNamedOnceAndLastFirst) {
  for (const char* type : {"unet", "convnext", "mlp"}) {
    const NetworkGraph graph = build_graph(small(type, "layer"));
    auto halo = std::make_shared<LocalHalo<double>>(Tiling(8, 1, 1), 1);
    Network<double> network(graph, make_backend<double>("reference"), halo, false);
    NetworkGradient<double> gradient(network, halo);
    testing::fill_input(network, 384, 5);
    const auto parameters = testing::lively_parameters<double>(graph);
    network.set_parameters(parameters.data());
    network.forward();
    std::fill_n(gradient.output_gradient(), 384 * network.output_stride(), 0.1);
    std::vector<double> whole(graph.parameters(), 0.0), partial(graph.parameters(), 0.0), seen(graph.parameters(), 0.0);
    gradient.backward(whole.data());
    int next = static_cast<int>(graph.blocks.size());
    gradient.backward(partial.data(), [&](int begin, int end) {
      EXPECT_EQ(end, next);
      next = begin;
      for (int b = begin; b < end; ++b)
        std::copy_n(partial.begin() + graph.blocks[b].offset, graph.blocks[b].size,
                    seen.begin() + graph.blocks[b].offset);
    });
    EXPECT_EQ(next, 0);
    EXPECT_EQ(seen, whole) << type;  // complete when it was named
  }
}

TEST(Network, GradientBuffersAreUsedAgain) {
  // Going back through a chain needs two buffers at a time, whatever its length.
  NetworkSpec spec = small("mlp");
  spec.levels = 6;
  EXPECT_EQ(plan_gradient(build_graph(spec), 8).buffers.size(), 2u);
  // A residual block holds the gradient of its sum while it goes through the branch.
  EXPECT_LE(plan_gradient(build_graph(small("convnext", "layer")), 8).buffers.size(), 4u);
}

// As for the plain U-Net in test_network.cpp, central differences in double to 1e-6 of the largest gradient; at a step
// of 1e-6, since a group of four channels that happen to be close is normalised by a small deviation.
class NetworkChoices : public ::testing::TestWithParam<std::tuple<const char*, const char*, const char*, int>> {};

TEST_P(NetworkChoices, GradientMatchesFiniteDifferences) {
  const auto [type, norm, kernels, tiles] = GetParam();
  const NetworkSpec spec = small(type, norm, kernels, tiles);
  const NetworkGraph graph = build_graph(spec);
  const int samples = 2, cells = samples * 384;
  auto halo = std::make_shared<LocalHalo<double>>(Tiling(spec.n, tiles, 1), samples);
  Network<double> network(graph, make_backend<double>("reference"), halo, false);
  NetworkGradient<double> gradient(network, halo);
  testing::fill_input(network, cells, 5);
  auto parameters = testing::lively_parameters<double>(graph);
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
  double largest = 0;
  for (double e : exact) largest = std::max(largest, std::abs(e));
  ASSERT_GT(largest, 1e-2);
  for (const ParameterBlock& block : graph.blocks) {
    double here = 0;
    for (std::size_t k = 0; k < block.size; ++k) here = std::max(here, std::abs(exact[block.offset + k]));
    EXPECT_GT(here, 0.0) << block.name;
    for (std::size_t k = 0; k < std::min<std::size_t>(block.size, 4); ++k) {
      const std::size_t at = block.offset + k * block.size / 4 % block.size;
      constexpr double step = 1e-6;
      const double old = parameters[at];
      parameters[at] = old + step;
      const double up = value();
      parameters[at] = old - step;
      const double down = value();
      parameters[at] = old;
      EXPECT_NEAR((up - down) / (2 * step), exact[at], 1e-6 * largest) << block.name << " " << at - block.offset;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, NetworkChoices,
                         ::testing::Values(std::make_tuple("convnext", "none", "shared", 1),
                                           std::make_tuple("convnext", "layer", "polar", 1),
                                           std::make_tuple("convnext", "group", "shared", 2),
                                           std::make_tuple("unet", "layer", "shared", 1),
                                           std::make_tuple("unet", "group", "polar", 2),
                                           std::make_tuple("unet", "none", "polar", 1),
                                           std::make_tuple("mlp", "layer", "polar", 1)));

TEST(Convnext, OnednnGradientMatchesReference) {
  NetworkSpec spec = small("convnext", "layer", "polar");
  spec.width = 16;
  spec.outputs = 4;
  const NetworkGraph graph = build_graph(spec);
  const auto parameters = testing::lively_parameters<float>(graph);
  std::vector<float> gradients[2], outputs[2];
  for (int b = 0; b < 2; ++b) {
    auto halo = std::make_shared<LocalHalo<float>>(Tiling(8, 1, 1), 2);
    Network<float> network(graph, make_backend<float>(b == 0 ? "onednn" : "reference"), halo, false);
    NetworkGradient<float> gradient(network, halo);
    testing::fill_input(network, 768, 5);
    network.set_parameters(parameters.data());
    network.forward();
    outputs[b].assign(network.output(), network.output() + 768 * network.output_stride());
    const auto g = noise<float>(768 * 4, 6);
    for (int cell = 0; cell < 768; ++cell)
      for (int v = 0; v < 4; ++v) gradient.output_gradient()[cell * network.output_stride() + v] = g[cell * 4 + v];
    gradients[b].assign(parameters.size(), 0.0f);
    gradient.backward(gradients[b].data());
  }
  EXPECT_LT(relative_difference(outputs[0], outputs[1]), 1e-5);
  // A cell near the activation's kink may take the other branch: 1e-4 of the largest gradient, as for the U-Net.
  EXPECT_LT(relative_difference(gradients[0], gradients[1]), 1e-4);
}

Model model_of(NetworkSpec spec) {
  spec.inputs = 9;
  spec.outputs = 4;
  spec.width = 16;
  Model model = testing::lively_model(2);
  model.network = spec;
  model.weights = testing::lively_parameters<float>(build_graph(spec));
  model.make_self_test();
  return model;
}

// Tiles, ranks and the panels' turns: one answer, on any number of ranks in every bit.
TEST(ParallelConvnext, SameBitsOnAnyRanksAndTiles) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  for (const char* type : {"convnext", "unet"}) {
    const Model model = model_of(small(type, "group", "polar"));
    const SampleValues inputs = testing::synthetic_sample(1).input;
    const std::vector<float> statics = testing::static_fields().values;
    for (int tiles : {1, 2}) {
      const Tiling one(8, tiles, 1), many(8, tiles, size);
      auto on_tiles = [&](std::span<const float> fields, const Tiling& grid, int at) {
        std::vector<float> out;
        for (std::size_t v = 0; v < fields.size() / 384; ++v) {
          const std::vector<float> field(fields.begin() + v * 384, fields.begin() + (v + 1) * 384);
          const auto part = tiles_from_global(grid, field, grid.first_tile(at), grid.owned_count(at));
          out.insert(out.end(), part.begin(), part.end());
        }
        return out;
      };
      const std::vector<float> whole =
          Surrogate(model, one, MPI_COMM_SELF).evaluate(on_tiles(inputs, one, 0), on_tiles(statics, one, 0));
      const std::vector<float> mine =
          Surrogate(model, many, MPI_COMM_WORLD).evaluate(on_tiles(inputs, many, rank), on_tiles(statics, many, rank));
      const std::size_t owned = static_cast<std::size_t>(many.owned_count(rank)) * many.cells_per_tile(),
                        first = static_cast<std::size_t>(many.first_tile(rank)) * many.cells_per_tile();
      for (int v = 0; v < 4; ++v)
        EXPECT_TRUE(
            std::equal(mine.begin() + v * owned, mine.begin() + (v + 1) * owned, whole.begin() + v * 384 + first))
            << type << " " << tiles << " " << v;
    }
  }
}

TEST(NetworkModel, FilesHoldTheArchitecture) {
  for (const char* type : {"convnext", "unet", "mlp"}) {
    const Model model = model_of(small(type, "group", "polar"));
    EXPECT_EQ(Model::from_bytes(model.to_bytes(), "memory"), model) << type;
  }
}

/// The bytes of a model as they were before files held the keys that came with the residual network: the keys are
/// renamed to others of their length, which nobody reads.
std::vector<std::byte> without_new_keys(std::vector<std::byte> bytes) {
  constexpr std::size_t header = 512;
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t network = text.find("\"network\"");
  for (std::string key : {"\"blocks\"", "\"dilations\"", "\"expansion\"", "\"norm\"", "\"groups\"", "\"kernels\""}) {
    const std::size_t at = text.find(key, network);
    if (at == std::string::npos) throw RunError("the description lacks " + key);
    text[at + 1] = '_';
  }
  Checksum sum;
  sum.add(reinterpret_cast<const std::byte*>(text.data()) + header, text.size() - header);
  char line[128];
  const int length = std::snprintf(line, sizeof line, "TRAMONTANE MODEL version 1 bytes %zu xxh3 %016llx\n",
                                   text.size() - header, static_cast<unsigned long long>(sum.value()));
  text.replace(0, length, line, length);
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

TEST(NetworkModel, OlderFilesKeepLoading) {
  const Model model = testing::lively_model(2);
  EXPECT_EQ(Model::from_bytes(without_new_keys(model.to_bytes()), "an older file"), model);
  // A network that needs the keys is not mistaken for one that does not.
  EXPECT_THROW(Model::from_bytes(without_new_keys(model_of(small("unet", "layer")).to_bytes()), "x"), InputError);
}

// A perceptron reads its input in place; its vectors must be turned into the panels' frames all the same.
TEST(Mlp, InputTransformSeesPaddedCells) {
  NetworkSpec spec = small("mlp");
  spec.levels = 1;
  const NetworkGraph graph = build_graph(spec);
  auto parameters = testing::lively_parameters<double>(graph);
  std::vector<double> outputs[2];
  for (int b = 0; b < 2; ++b) {
    auto halo = std::make_shared<LocalHalo<double>>(Tiling(8, 2, 1), 1);
    Network<double> network(graph, make_backend<double>("reference"), halo, false);
    testing::fill_input(network, 384, 5);
    const int stride = network.input_stride(), padded = 6, images = network.images();
    if (b == 0) {  // by hand
      for (int cell = 0; cell < 384; ++cell) network.input()[cell * stride + 1] *= -2;
    } else {
      network.set_input_transform([=](double* cells) {
        for (int cell = 0; cell < images * padded * padded; ++cell) cells[cell * stride + 1] *= -2;
      });
    }
    network.set_parameters(parameters.data());
    for (int repeat = 0; repeat < 2; ++repeat) network.forward();  // the input itself stays as it is
    outputs[b].assign(network.output(), network.output() + 384 * network.output_stride());
  }
  EXPECT_EQ(outputs[0], outputs[1]);
}

}  // namespace
}  // namespace tramontane
