#include <gtest/gtest.h>

#include "kernels/errors.hpp"
#include "tests/ml/network_fixture.hpp"

namespace tramontane {
namespace {

using testing::dot_product;
using testing::noise;
using testing::relative_difference;

struct Arrays {
  explicit Arrays(const ConvolutionExtents& e)
      : x(e.x_at(e.images, 0, 0)),
        y(e.y_at(e.images, 0, 0)),
        weights(static_cast<std::size_t>(e.kernel) * e.kernel * e.in_channels * e.out_channels) {}
  std::size_t x, y, weights;
};

template <class Scalar>
void zero_padding(std::vector<Scalar>& values, int stride, int used) {
  for (std::size_t k = 0; k < values.size(); ++k)
    if (static_cast<int>(k % stride) >= used) values[k] = 0;
}

// <y, dy> is linear in x, weights and bias as long as no activation changes branch, so central differences in double
// are exact up to round-off: relative 1e-8 leaves room for the cancellation at a step of 1e-4.
class ConvolutionGradient : public ::testing::TestWithParam<std::tuple<int, int, Activation>> {};

TEST_P(ConvolutionGradient, MatchesFiniteDifferences) {
  const auto [kernel, dilation, activation] = GetParam();
  const ConvolutionExtents e{2, 3, 4, kernel, 3, 5, 4, 6, dilation};
  const Arrays size(e);
  auto layer = make_backend<double>("reference")->convolution({e, activation});
  auto x = noise<double>(size.x, 1), weights = noise<double>(size.weights, 2), bias = noise<double>(5, 3);
  // A few units of gain put some values beyond the cap of 10.
  for (double& w : weights) w *= kernel == 1 ? 8 : 3;
  auto dy = noise<double>(size.y, 4);
  zero_padding(dy, e.out_stride, e.out_channels);
  zero_padding(x, e.in_stride, e.in_channels);
  std::vector<double> y(size.y), dx(size.x), dw(size.weights, 0.0), db(5, 0.0);
  auto value = [&] {
    layer->set_weights(weights.data(), bias.data());
    layer->forward(x.data(), y.data());
    return dot_product(y, dy);
  };
  value();
  std::vector<double> before = dy;
  int capped = 0, negative = 0;
  if (activation == Activation::capped_leaky_relu)
    for (std::size_t k = 0; k < y.size(); ++k) {
      before[k] *= capped_leaky_relu_derivative(y[k], kLeakySlope, kLeakyCap);
      capped += y[k] == kLeakyCap;
      negative += y[k] < 0;
    }
  if (activation == Activation::capped_leaky_relu) {
    ASSERT_GT(capped, 0);
    ASSERT_GT(negative, 0);
  }
  layer->backward_data(before.data(), dx.data());
  layer->backward_weights(x.data(), before.data(), dw.data(), db.data());

  auto check = [&](std::vector<double>& variable, const std::vector<double>& gradient, int stride, int used) {
    constexpr double step = 1e-4;
    for (std::size_t k = 0; k < variable.size(); ++k) {
      if (static_cast<int>(k % stride) >= used) {
        EXPECT_EQ(gradient[k], 0.0);
        continue;
      }
      const double old = variable[k];
      variable[k] = old + step;
      const double up = value();
      variable[k] = old - step;
      const double down = value();
      variable[k] = old;
      EXPECT_NEAR((up - down) / (2 * step), gradient[k], 1e-8 * (1 + std::abs(gradient[k]))) << k;
    }
  };
  check(x, dx, e.in_stride, e.in_channels);
  check(weights, dw, 1, 1);
  check(bias, db, 1, 1);
}

INSTANTIATE_TEST_SUITE_P(Layers, ConvolutionGradient,
                         ::testing::Combine(::testing::Values(1, 3), ::testing::Values(1, 2),
                                            ::testing::Values(Activation::linear, Activation::capped_leaky_relu)));

// Sums of at most 9 x 96 products in single precision, in another order: a relative 1e-5 of the largest value.
class OnednnConvolution : public ::testing::TestWithParam<ConvolutionShape> {};

TEST_P(OnednnConvolution, MatchesReference) {
  const ConvolutionShape shape = GetParam();
  const ConvolutionExtents& e = shape.extents;
  const Arrays size(e);
  auto x = noise<float>(size.x, 1), dy = noise<float>(size.y, 4);
  const auto weights = noise<float>(size.weights, 2), bias = noise<float>(e.out_channels, 3);
  zero_padding(x, e.in_stride, e.in_channels);
  zero_padding(dy, e.out_stride, e.out_channels);
  std::vector<float> y[2], dx[2], dw[2], db[2];
  const char* names[2] = {"onednn", "reference"};
  for (int b = 0; b < 2; ++b) {
    y[b].assign(size.y, -1);
    dx[b].assign(size.x, -1);
    dw[b].assign(size.weights, 0.5f);  // gradients are added to what is there
    db[b].assign(e.out_channels, 0.5f);
    auto layer = make_backend<float>(names[b])->convolution(shape);
    // Twice: the second call must see the second weights.
    const auto other = noise<float>(size.weights, 9);
    layer->set_weights(other.data(), bias.data());
    layer->forward(x.data(), y[b].data());
    layer->backward_data(dy.data(), dx[b].data());
    layer->set_weights(weights.data(), bias.data());
    layer->forward(x.data(), y[b].data());
    layer->backward_data(dy.data(), dx[b].data());
    layer->backward_weights(x.data(), dy.data(), dw[b].data(), db[b].data());
  }
  EXPECT_LT(relative_difference(y[0], y[1]), 1e-5);
  EXPECT_LT(relative_difference(dx[0], dx[1]), 1e-5);
  EXPECT_LT(relative_difference(dw[0], dw[1]), 1e-5);
  EXPECT_LT(relative_difference(db[0], db[1]), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, OnednnConvolution,
    ::testing::Values(ConvolutionShape{{6, 24, 24, 3, 9, 16, 16, 16}, Activation::capped_leaky_relu},
                      ConvolutionShape{{1, 12, 12, 3, 16, 32, 16, 32}, Activation::capped_leaky_relu},
                      ConvolutionShape{{6, 6, 6, 3, 96, 32, 96, 32}, Activation::capped_leaky_relu},
                      ConvolutionShape{{2, 3, 3, 3, 8, 24, 8, 24}, Activation::capped_leaky_relu},
                      ConvolutionShape{{6, 24, 24, 1, 16, 4, 16, 16}, Activation::linear},
                      ConvolutionShape{{6, 8, 8, 1, 9, 16, 16, 16}, Activation::capped_leaky_relu},
                      ConvolutionShape{{6, 12, 12, 3, 16, 32, 16, 32, 2}, Activation::capped_leaky_relu},
                      ConvolutionShape{{1, 8, 8, 3, 32, 64, 32, 64, 4}, Activation::capped_leaky_relu},
                      ConvolutionShape{{2, 6, 6, 3, 9, 16, 16, 16, 3}, Activation::linear}));

TEST(Backend, StubWritesZeros) {
  const ConvolutionExtents e{1, 2, 2, 3, 4, 4, 4, 4};
  const Arrays size(e);
  auto layer = make_backend<float>("stub")->convolution({e, Activation::linear});
  const auto x = noise<float>(size.x, 1);
  std::vector<float> y(size.y, 3.0f);
  layer->forward(x.data(), y.data());
  EXPECT_EQ(y, std::vector<float>(size.y, 0.0f));
}

TEST(Backend, UnknownNameAndMissingScalarAreInputErrors) {
  EXPECT_THROW(make_backend<float>("abacus"), InputError);
  EXPECT_THROW(make_backend<double>("onednn"), InputError);
}

}  // namespace
}  // namespace tramontane
