/// Reference kernels of a network's convolutions: plain loops over channels-last arrays, for any scalar, on host or
/// device. They define what the fast back ends must compute; they are written for clarity first. Sums are in the
/// arithmetic type of the scalar (see NetworkScalar), each in one fixed order.
#pragma once

#include "kernels/network_extents.hpp"
#include "kernels/network_scalar.hpp"
#include "kernels/types.hpp"

namespace tramontane {

/// y = activation(bias + x * weights); with `activate`, max(v, slope v) for v below the cap, else the cap.
template <class Space, class Scalar>
void convolution_forward(const ConvolutionExtents& extents, const Scalar* x, const ParameterOf<Scalar>* weights,
                         const ParameterOf<Scalar>* bias, bool activate, ArithmeticOf<Scalar> slope,
                         ArithmeticOf<Scalar> cap, Scalar* y) {
  using Sum = ArithmeticOf<Scalar>;
  const ConvolutionExtents e = extents;
  // Output channels are summed up a few at a time, so that the sums stay in registers.
  constexpr int kTogether = 32;
  Kokkos::parallel_for(
      "convolution_forward", Kokkos::RangePolicy<Space>(0, e.images * e.height), KOKKOS_LAMBDA(const int row) {
        const int image = row / e.height, j = row % e.height;
        for (int i = 0; i < e.width; ++i) {
          Scalar* out = y + e.y_at(image, j, i);
          for (int first = 0; first < e.out_channels; first += kTogether) {
            const int count = e.out_channels - first < kTogether ? e.out_channels - first : kTogether;
            Sum sum[kTogether];
            for (int k = 0; k < count; ++k) sum[k] = bias[first + k];
            for (int kj = 0; kj < e.kernel; ++kj)
              for (int ki = 0; ki < e.kernel; ++ki) {
                const Scalar* in = x + e.x_at(image, j + kj * e.dilation, i + ki * e.dilation);
                for (int c = 0; c < e.in_channels; ++c) {
                  const Sum value = in[c];
                  const ParameterOf<Scalar>* w = weights + e.weight_at(kj, ki, c) + first;
#pragma omp simd
                  for (int k = 0; k < count; ++k) sum[k] += value * w[k];
                }
              }
            for (int k = 0; k < count; ++k) {
              Sum v = sum[k];
              if (activate) {
                v = v > Sum(0) ? v : slope * v;
                v = v > cap ? cap : v;
              }
              out[first + k] = static_cast<Scalar>(v);
            }
          }
          for (int k = e.out_channels; k < e.out_stride; ++k) out[k] = static_cast<Scalar>(0);
        }
      });
}

/// dx = adjoint of the convolution applied to dy (padding channels become zero).
template <class Space, class Scalar>
void convolution_backward_data(const ConvolutionExtents& extents, const Scalar* dy, const ParameterOf<Scalar>* weights,
                               Scalar* dx) {
  using Sum = ArithmeticOf<Scalar>;
  const ConvolutionExtents e = extents;
  Kokkos::parallel_for(
      "convolution_backward_data", Kokkos::RangePolicy<Space>(0, e.images * e.padded_height()),
      KOKKOS_LAMBDA(const int row) {
        const int image = row / e.padded_height(), j = row % e.padded_height();
        for (int i = 0; i < e.padded_width(); ++i) {
          Scalar* to = dx + e.x_at(image, j, i);
          for (int c = 0; c < e.in_channels; ++c) {
            Sum total = 0;
            for (int kj = 0; kj < e.kernel; ++kj)
              for (int ki = 0; ki < e.kernel; ++ki) {
                const int oj = j - kj * e.dilation, oi = i - ki * e.dilation;
                if (oj < 0 || oj >= e.height || oi < 0 || oi >= e.width) continue;
                const Scalar* from = dy + e.y_at(image, oj, oi);
                const ParameterOf<Scalar>* w = weights + e.weight_at(kj, ki, c);
                Sum sum = 0;
                for (int k = 0; k < e.out_channels; ++k) sum += static_cast<Sum>(from[k]) * w[k];
                total += sum;
              }
            to[c] = static_cast<Scalar>(total);
          }
          for (int c = e.in_channels; c < e.in_stride; ++c) to[c] = static_cast<Scalar>(0);
        }
      });
}

/// dweights += x^T dy and dbias += sum of dy, both summed in the order of images and cells.
template <class Space, class Scalar>
void convolution_backward_weights(const ConvolutionExtents& extents, const Scalar* x, const Scalar* dy,
                                  ParameterOf<Scalar>* dweights, ParameterOf<Scalar>* dbias) {
  using Sum = ArithmeticOf<Scalar>;
  const ConvolutionExtents e = extents;
  Kokkos::parallel_for(
      "convolution_backward_weights", Kokkos::RangePolicy<Space>(0, e.kernel * e.kernel * e.in_channels),
      KOKKOS_LAMBDA(const int row) {
        const int c = row % e.in_channels, ki = (row / e.in_channels) % e.kernel, kj = row / (e.in_channels * e.kernel);
        ParameterOf<Scalar>* to = dweights + e.weight_at(kj, ki, c);
        for (int image = 0; image < e.images; ++image)
          for (int j = 0; j < e.height; ++j)
            for (int i = 0; i < e.width; ++i) {
              const Sum value = x[e.x_at(image, j + kj * e.dilation, i + ki * e.dilation) + c];
              const Scalar* from = dy + e.y_at(image, j, i);
#pragma omp simd
              for (int k = 0; k < e.out_channels; ++k) to[k] += value * static_cast<Sum>(from[k]);
            }
      });
  Kokkos::parallel_for(
      "convolution_backward_bias", Kokkos::RangePolicy<Space>(0, e.out_channels), KOKKOS_LAMBDA(const int k) {
        Sum sum = 0;
        for (int image = 0; image < e.images; ++image)
          for (int j = 0; j < e.height; ++j)
            for (int i = 0; i < e.width; ++i) sum += static_cast<Sum>(dy[e.y_at(image, j, i) + k]);
        dbias[k] += sum;
      });
}

}  // namespace tramontane
