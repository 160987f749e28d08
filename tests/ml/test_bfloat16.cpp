#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/ml/network_fixture.hpp"

namespace tramontane {
namespace {

using testing::noise;

std::uint16_t bits_of(float value) {
  return Bfloat16(value).bits;
}

TEST(Bfloat16, RoundsToNearestEven) {
  EXPECT_EQ(bits_of(0.0f), 0x0000);
  EXPECT_EQ(bits_of(-0.0f), 0x8000);
  EXPECT_EQ(bits_of(1.0f), 0x3f80);
  EXPECT_EQ(bits_of(-2.0f), 0xc000);
  // One unit of the last place is 2^-7 at 1: halfway goes to the even neighbour, a little more than that up.
  EXPECT_EQ(bits_of(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(bits_of(1.0f + 0x3p-8f), 0x3f82);
  EXPECT_EQ(bits_of(1.0f + 0x1p-8f + 0x1p-20f), 0x3f81);
  EXPECT_EQ(bits_of(1.0f + 0x1p-8f - 0x1p-20f), 0x3f80);
  // A carry runs into the exponent, at the end of the range to infinity.
  EXPECT_EQ(bits_of(1.999f), 0x4000);
  EXPECT_EQ(bits_of(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(bits_of(std::numeric_limits<float>::denorm_min()), 0x0000);
}

TEST(Bfloat16, KeepsWhatIsNotFinite) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(static_cast<float>(Bfloat16(infinity)), infinity);
  EXPECT_EQ(static_cast<float>(Bfloat16(-infinity)), -infinity);
  EXPECT_TRUE(std::isnan(static_cast<float>(Bfloat16(std::numeric_limits<float>::quiet_NaN()))));
  // A NaN whose payload lies in the half that is dropped must not become infinity.
  const std::uint32_t wide = 0x7f800001u;
  float signalling;
  std::memcpy(&signalling, &wide, sizeof signalling);
  EXPECT_TRUE(std::isnan(static_cast<float>(Bfloat16(signalling))));
}

TEST(Bfloat16, EveryValueReturnsFromFloat) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    Bfloat16 value;
    value.bits = static_cast<std::uint16_t>(bits);
    const float wide = value;
    if (std::isnan(wide)) continue;
    ASSERT_EQ(Bfloat16(wide).bits, bits);
  }
}

/// Output and gradient of a U-Net in one scalar, from the same parameters and inputs, which bfloat16 holds exactly.
template <class Scalar>
std::pair<std::vector<double>, std::vector<double>> pass(const NetworkGraph& graph, Memory memory) {
  const Tiling grid(8, 1, 1);
  auto halo = std::make_shared<LocalHalo<Scalar>>(grid, 1, memory);
  Network<Scalar> network(graph, make_reference_backend<Scalar>(memory), halo, false);
  NetworkGradient<Scalar> gradient(network, halo);
  using Parameter = ParameterOf<Scalar>;
  auto rounded = [](const std::vector<float>& values) {
    std::vector<Scalar> out;
    for (float v : values) out.push_back(static_cast<Scalar>(static_cast<float>(Bfloat16(v))));
    return out;
  };
  const std::size_t cells = network.cells();
  network.load_input(rounded(noise<float>(cells * network.input_stride(), 3)).data());
  const auto parameters = testing::lively_parameters<Parameter>(graph);
  network.load_parameters(parameters.data());
  network.forward();
  std::vector<Scalar> output(cells * network.output_stride());
  network.copy_output(output.data());
  // Written through the fixture's host pointer: this build has one memory.
  const auto g = rounded(noise<float>(output.size(), 4));
  std::copy(g.begin(), g.end(), gradient.output_gradient());
  std::vector<Parameter> dp(graph.parameters(), 0);
  gradient.backward(dp.data());
  return {{output.begin(), output.end()}, {dp.begin(), dp.end()}};
}

// A layer's sums are those of float and are rounded once: exactly what rounding float's own result gives.
TEST(Bfloat16, ConvolutionRoundsOnce) {
  const ConvolutionExtents e{2, 4, 4, 3, 8, 40, 8, 40, 2};
  const std::size_t nx = e.x_at(e.images, 0, 0), ny = e.y_at(e.images, 0, 0);
  const auto weights = noise<float>(e.weights(), 1), bias = noise<float>(e.out_channels, 2);
  std::vector<Bfloat16> x, dy, y(ny), dx(nx);
  for (float v : noise<float>(nx, 3)) x.push_back(Bfloat16(v));
  for (float v : noise<float>(ny, 4)) dy.push_back(Bfloat16(v));
  const std::vector<float> wide_x(x.begin(), x.end()), wide_dy(dy.begin(), dy.end());
  std::vector<float> wide_y(ny), wide_dx(nx), dw(e.weights(), 0.5f), wide_dw(e.weights(), 0.5f), db(40), wide_db(40);
  auto narrow = make_backend<Bfloat16>("reference")->convolution({e, Activation::capped_leaky_relu});
  auto wide = make_backend<float>("reference")->convolution({e, Activation::capped_leaky_relu});
  narrow->set_weights(weights.data(), bias.data());
  wide->set_weights(weights.data(), bias.data());
  narrow->forward(x.data(), y.data());
  wide->forward(wide_x.data(), wide_y.data());
  narrow->backward_data(dy.data(), dx.data());
  wide->backward_data(wide_dy.data(), wide_dx.data());
  narrow->backward_weights(x.data(), dy.data(), dw.data(), db.data());
  wide->backward_weights(wide_x.data(), wide_dy.data(), wide_dw.data(), wide_db.data());
  // Half a unit of the last place, which is up to 2^-8 of the value, and float's own round-off.
  for (std::size_t k = 0; k < ny; ++k) ASSERT_NEAR(y[k], wide_y[k], 0x1p-8f * std::abs(wide_y[k]) + 1e-6f) << k;
  for (std::size_t k = 0; k < nx; ++k) ASSERT_NEAR(dx[k], wide_dx[k], 0x1p-8f * std::abs(wide_dx[k]) + 1e-5f) << k;
  EXPECT_LT(testing::relative_difference(dw, wide_dw), 1e-5);  // nothing is rounded to 16 bits
  EXPECT_LT(testing::relative_difference(db, wide_db), 1e-5);
}

// Each layer rounds its output to 8 bits, a relative 2^-9, so that through a dozen layers the output moves by a
// hundredth of its largest value. The gradient of a random functional moves more: a hundredth of the cells change the
// branch of an activation, ten times the slope or a tenth of it, which is sqrt(0.01) of the norm in each layer.
TEST(Bfloat16, NetworkAgreesWithFloatToItsPrecision) {
  for (const char* norm : {"none", "layer"}) {
    NetworkSpec spec{"unet", 3, 2, 8, 2, 8, 1};
    spec.norm = norm;
    const NetworkGraph graph = build_graph(spec);
    const auto [narrow, narrow_gradient] = pass<Bfloat16>(graph, Memory::host);
    const auto [wide, wide_gradient] = pass<float>(graph, Memory::host);
    EXPECT_LT(testing::relative_difference(narrow, wide), 0.03) << norm;
    double difference = 0, square = 0;
    for (std::size_t k = 0; k < wide_gradient.size(); ++k) {
      difference += std::pow(narrow_gradient[k] - wide_gradient[k], 2);
      square += wide_gradient[k] * wide_gradient[k];
    }
    EXPECT_LT(std::sqrt(difference / square), 0.15) << norm;
    EXPECT_GT(testing::relative_difference(narrow, wide), 1e-4) << norm;  // it did round
  }
}

#if !defined(KOKKOS_ENABLE_CUDA) && !defined(KOKKOS_ENABLE_HIP)
// On a host both memories are one, and so must be what is computed in them: every array goes where it should.
TEST(Network, DeviceMemoryGivesTheSame) {
  const NetworkGraph graph = build_graph({"unet", 3, 2, 8, 2, 8, 1});
  EXPECT_EQ(pass<float>(graph, Memory::device), pass<float>(graph, Memory::host));
}
#endif

}  // namespace
}  // namespace tramontane
