// Layer kinds one by one; convolutions are in test_convolution.cpp.
#include <gtest/gtest.h>

#include "kernels/errors.hpp"
#include "ml/layers/layer_kind.hpp"
#include "tests/ml/network_fixture.hpp"

namespace tramontane {
namespace {

using testing::dot_product;
using testing::noise;

/// One layer of its own, behind a 1 x 1 convolution that gives it a source: the graph is never evaluated as a whole.
struct LayerAlone {
  LayerAlone(const char* kind, int channels, int sources, Activation activation, int groups, int panels = 6,
             int size = 3)
      : backend(make_backend<double>("reference")) {
    graph.inputs = channels;
    NetworkNode source;
    source.name = "source";
    source.kind = "convolution";
    source.out_channels = channels;
    source.sources = {{-1}};
    graph.add(source);
    NetworkNode node;
    node.name = "layer";
    node.kind = kind;
    node.activation = activation;
    node.attributes.groups = groups;
    for (int s = 0; s < sources; ++s) node.sources.push_back({0});
    graph.add(node);
    NodeArrays arrays = arrays_of(graph, 1, size);
    arrays.out_stride = channels;  // as in the middle of a network
    arrays.y = static_cast<std::size_t>(size) * size * channels;
    std::vector<int> image_panels;
    for (int p = 0; p < panels; ++p) image_panels.push_back(p);
    layer = layer_kind(kind).make(LayerContext<double>{graph, graph.nodes[1], arrays, image_panels, false, *backend});
    elements = arrays.y * panels;
  }
  std::shared_ptr<Backend<double>> backend;
  NetworkGraph graph;
  std::unique_ptr<Layer<double>> layer;
  std::size_t elements;
};

TEST(LayerKind, UnknownNameIsAnInputErrorThatNamesTheKinds) {
  try {
    layer_kind("attention");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_EQ(std::string(error.what()),
              "unknown layer 'attention': choose one of addition, convolution, normalisation");
  }
  NetworkGraph graph;
  graph.inputs = 3;
  NetworkNode node;
  node.name = "a";
  node.kind = "convolution";
  node.out_channels = 4;
  node.attributes.kernel = 5;
  node.sources = {{-1}};
  EXPECT_THROW(graph.add(node), InputError);
  node.attributes.kernel = 1;
  graph.add(node);
  node.kind = "normalisation";
  node.sources = {{0}};
  node.attributes.groups = 3;
  EXPECT_THROW(graph.add(node), InputError);
  node.kind = "addition";
  EXPECT_THROW(graph.add(node), InputError);
}

TEST(Addition, AddsAndActivates) {
  LayerAlone alone("addition", 2, 2, Activation::capped_leaky_relu, 1, 1, 1);
  const std::vector<double> a = {3, 9}, b = {-5, 4};
  std::vector<double> y(2), dx(2);
  alone.layer->forward({a.data(), b.data()}, y.data());
  EXPECT_DOUBLE_EQ(y[0], -2 * kLeakySlope);
  EXPECT_EQ(y[1], kLeakyCap);
  EXPECT_TRUE(layer_kind("addition").passes_gradient());
  alone.layer->backward_data({a.data(), b.data()}, a.data(), 1, dx.data());
  EXPECT_EQ(dx, a);
}

TEST(Normalisation, ByHand) {
  // Two groups of four channels: (1, 5, 5, 1) has mean 3 and deviation 2, (2, 2, 2, 2) has none.
  LayerAlone alone("normalisation", 8, 1, Activation::linear, 2, 1, 1);
  std::vector<double> parameters(alone.graph.parameters(), 0.0);
  const std::size_t scale = alone.graph.blocks[2].offset, shift = alone.graph.blocks[3].offset;
  for (int c = 0; c < 8; ++c) {
    parameters[scale + c] = 1 + c;
    parameters[shift + c] = 10 * c;
  }
  const std::vector<double> x = {1, 5, 5, 1, 2, 2, 2, 2};
  std::vector<double> y(8);
  alone.layer->set_parameters(parameters.data());
  alone.layer->forward({x.data()}, y.data());
  const double inverse = 1 / std::sqrt(4 + kNormalisationEpsilon);
  EXPECT_NEAR(y[0], -2 * inverse, 1e-14);
  EXPECT_NEAR(y[1], 2 * 2 * inverse + 10, 1e-14);
  EXPECT_NEAR(y[3], -4 * 2 * inverse + 30, 1e-14);
  EXPECT_EQ(y[4], 40);
  EXPECT_EQ(y[7], 70);
}

// Smooth but for the activation's kinks, which a step of 2e-6 rarely crosses: central differences in double to 1e-7.
TEST(Normalisation, GradientMatchesFiniteDifferences) {
  for (Activation activation : {Activation::linear, Activation::capped_leaky_relu})
    for (int groups : {1, 2, 3}) {
      LayerAlone alone("normalisation", 12, 1, activation, groups);
      auto x = noise<double>(alone.elements, 1), parameters = noise<double>(alone.graph.parameters(), 2);
      const auto dy = noise<double>(alone.elements, 3);
      std::vector<double> y(alone.elements), dx(alone.elements), gradient(parameters.size(), 0.0);
      auto value = [&] {
        alone.layer->set_parameters(parameters.data());
        alone.layer->forward({x.data()}, y.data());
        return dot_product(y, dy);
      };
      value();
      auto before = dy;
      if (activation == Activation::capped_leaky_relu)
        for (std::size_t k = 0; k < y.size(); ++k)
          before[k] *= capped_leaky_relu_derivative(y[k], kLeakySlope, kLeakyCap);
      alone.layer->backward_parameters({x.data()}, before.data(), gradient.data());
      alone.layer->backward_data({x.data()}, before.data(), 0, dx.data());
      auto check = [&](std::vector<double>& variable, const std::vector<double>& exact, std::size_t begin) {
        for (std::size_t k = begin; k < variable.size(); ++k) {
          const double old = variable[k], step = 2e-6;
          variable[k] = old + step;
          const double up = value();
          variable[k] = old - step;
          const double down = value();
          variable[k] = old;
          EXPECT_NEAR((up - down) / (2 * step), exact[k], 1e-7 * (1 + std::abs(exact[k]))) << groups << " " << k;
        }
      };
      check(x, dx, 0);
      check(parameters, gradient, alone.graph.blocks[2].offset);
    }
}

// What the south panel gives must be the mirror image of what the north panel gives for the mirrored input, and the
// panels around the equator must not hear of the polar kernel.
TEST(Convolution, PolarKernelsSeeTheSouthPanelMirrored) {
  NetworkGraph graph;
  graph.inputs = 3;
  NetworkNode node;
  node.name = "polar";
  node.kind = "convolution";
  node.out_channels = 16;
  node.attributes.kernel = 3;
  node.attributes.polar = true;
  node.sources = {{-1}};
  graph.add(node);
  ASSERT_EQ(graph.blocks.size(), 4u);
  auto backend = make_backend<double>("reference");
  const int size = 4, padded = size + 2, stride = storage_channels(3);
  const NodeArrays arrays = arrays_of(graph, 0, size);
  for (bool one_at_a_time : {false, true}) {
    auto layer =
        layer_kind("convolution")
            .make(LayerContext<double>{graph, graph.nodes[0], arrays, {0, 1, 2, 3, 4, 5}, one_at_a_time, *backend});
    auto parameters = noise<double>(graph.parameters(), 1);
    // All panels alike, the south one upside down.
    const auto image = noise<double>(arrays.x, 2);
    std::vector<double> x, y(6 * arrays.y);
    for (int panel = 0; panel < 6; ++panel)
      for (int j = 0; j < padded; ++j) {
        const auto row = image.begin() + (panel == 5 ? padded - 1 - j : j) * padded * stride;
        x.insert(x.end(), row, row + padded * stride);
      }
    layer->set_parameters(parameters.data());
    layer->forward({x.data()}, y.data());
    auto row = [&](int panel, int j) {
      const auto begin = y.begin() + static_cast<std::ptrdiff_t>(panel * arrays.y + j * size * arrays.out_stride);
      return std::vector<double>(begin, begin + size * arrays.out_stride);
    };
    for (int j = 0; j < size; ++j) {
      EXPECT_EQ(row(0, j), row(3, j));
      EXPECT_NE(row(0, j), row(4, j));
      const auto north = row(4, j), south = row(5, size - 1 - j);
      for (std::size_t k = 0; k < north.size(); ++k) EXPECT_NEAR(north[k], south[k], 1e-13);
    }
    // Copies of the shared kernel at the poles make polar kernels shared ones, but for the mirror.
    const std::vector<double> equator = row(0, 1);
    for (std::size_t k = 0; k < graph.blocks[2].offset; ++k) parameters[graph.blocks[2].offset + k] = parameters[k];
    layer->set_parameters(parameters.data());
    layer->forward({x.data()}, y.data());
    EXPECT_EQ(row(0, 1), equator);
    EXPECT_EQ(row(4, 1), equator);
  }
}

}  // namespace
}  // namespace tramontane
