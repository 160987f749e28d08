// The kernels around a vendor library's convolutions, on the host: what the cuDNN back end does itself.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/convolution_layout.hpp"
#include "ml/backend.hpp"

namespace tramontane {
namespace {

using Space = Kokkos::DefaultHostExecutionSpace;

// Channels padded on both sides, more cells than a chunk of the bias gradient and not a multiple of one.
ConvolutionExtents extents() {
  return {3, 10, 11, 3, 5, 6, 16, 16, 2};
}

template <class T>
std::vector<T> random_values(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<T> values;
  for (std::size_t k = 0; k < count; ++k) values.push_back(static_cast<T>(uniform(generator)));
  return values;
}

template <class Packed>
void check_filter(double tolerance) {
  const ConvolutionExtents e = extents();
  const auto weights = random_values<float>(e.weights(), 1);
  std::vector<Packed> packed(packed_filter_size(e), static_cast<Packed>(9.0f));
  pack_filter<Space>(e, weights.data(), packed.data());
  Space().fence();
  double largest = 0;
  for (int k = 0; k < e.out_stride; ++k)
    for (int kj = 0; kj < e.kernel; ++kj)
      for (int ki = 0; ki < e.kernel; ++ki)
        for (int c = 0; c < e.in_stride; ++c) {
          const float value = packed[((static_cast<std::size_t>(k) * e.kernel + kj) * e.kernel + ki) * e.in_stride + c];
          const bool real = k < e.out_channels && c < e.in_channels;
          const float wanted = real ? weights[e.weight_at(kj, ki, c) + k] : 0.0f;
          largest = std::max(largest, std::abs(static_cast<double>(value) - wanted));
        }
  EXPECT_LE(largest, tolerance);

  // Gradients are added, and only those of real channels.
  std::vector<Packed> gradient = packed;
  for (int k = 0; k < e.out_stride; ++k)
    for (int tap = 0; tap < e.kernel * e.kernel; ++tap)
      for (int c = 0; c < e.in_stride; ++c)
        if (k >= e.out_channels || c >= e.in_channels)
          gradient[(static_cast<std::size_t>(k) * e.kernel * e.kernel + tap) * e.in_stride + c] =
              static_cast<Packed>(7.0f);
  std::vector<float> sum(e.weights(), 2.0f);
  add_packed_filter<Space>(e, gradient.data(), sum.data());
  Space().fence();
  for (std::size_t k = 0; k < sum.size(); ++k) EXPECT_NEAR(sum[k], 2.0f + weights[k], tolerance + 1e-6) << k;
}

TEST(ConvolutionLayout, FilterInFloatIsExact) {
  check_filter<float>(0);
}

TEST(ConvolutionLayout, FilterInBf16IsRounded) {
  check_filter<Bfloat16>(1.0 / 512);  // half a unit of eight bits for values up to one
}

TEST(ConvolutionLayout, BiasGradientIsTheSumOverCells) {
  const ConvolutionExtents e = extents();
  const auto dy = random_values<float>(e.y_at(e.images, 0, 0), 2);
  ASSERT_GT(bias_chunks(e), 1);
  std::vector<float> partial(static_cast<std::size_t>(bias_chunks(e)) * e.out_channels), dbias(e.out_channels, 3.0f);
  add_bias_gradient<Space>(e, dy.data(), partial.data(), dbias.data());
  Space().fence();
  for (int k = 0; k < e.out_channels; ++k) {
    double sum = 3;
    for (int image = 0; image < e.images; ++image)
      for (int j = 0; j < e.height; ++j)
        for (int i = 0; i < e.width; ++i) sum += dy[e.y_at(image, j, i) + k];
    EXPECT_NEAR(dbias[k], sum, 1e-4) << k;  // 330 additions of numbers of order one in single precision
  }
}

TEST(ConvolutionLayout, BiasAndActivation) {
  const ConvolutionExtents e = extents();
  std::vector<float> bias(e.out_channels), padded(e.out_stride, 5.0f);
  for (int k = 0; k < e.out_channels; ++k) bias[k] = static_cast<float>(k - 3) * 5.0f;
  pad_bias<Space>(e, bias.data(), padded.data());
  Space().fence();
  for (int k = 0; k < e.out_stride; ++k) EXPECT_EQ(padded[k], k < e.out_channels ? bias[k] : 0.0f);
  const auto raw = random_values<float>(e.y_at(e.images, 0, 0), 3);
  for (const bool activate : {false, true}) {
    std::vector<float> y = raw;
    add_bias_and_activate<Space>(e, padded.data(), activate, static_cast<float>(kLeakySlope),
                                 static_cast<float>(kLeakyCap), y.data());
    Space().fence();
    for (std::size_t at = 0; at < y.size(); ++at) {
      float v = raw[at] + padded[at % e.out_stride];
      if (activate) v = std::min(v > 0 ? v : static_cast<float>(kLeakySlope) * v, static_cast<float>(kLeakyCap));
      ASSERT_EQ(y[at], v) << at;
    }
  }
}

}  // namespace
}  // namespace tramontane
