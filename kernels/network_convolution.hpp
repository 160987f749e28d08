/// Reference kernels of a network's convolutions: plain loops over channels-last arrays, for any scalar. They define
/// what the fast back ends must compute; they are written for clarity first.
#pragma once

#include "kernels/network_extents.hpp"
#include "kernels/types.hpp"

namespace tramontane {

/// y = activation(bias + x * weights); with `activate`, max(v, slope v) for v below the cap, else the cap.
template <class Space, class Scalar>
void convolution_forward(const ConvolutionExtents& e, const Scalar* x, const Scalar* weights, const Scalar* bias,
                         bool activate, Scalar slope, Scalar cap, Scalar* y) {
  Kokkos::parallel_for(
      "convolution_forward", Kokkos::RangePolicy<Space>(0, e.images * e.height), KOKKOS_LAMBDA(const int row) {
        const int image = row / e.height, j = row % e.height;
        for (int i = 0; i < e.width; ++i) {
          Scalar* out = y + e.y_at(image, j, i);
          for (int k = 0; k < e.out_channels; ++k) out[k] = bias[k];
          for (int k = e.out_channels; k < e.out_stride; ++k) out[k] = Scalar(0);
          for (int kj = 0; kj < e.kernel; ++kj)
            for (int ki = 0; ki < e.kernel; ++ki) {
              const Scalar* in = x + e.x_at(image, j + kj, i + ki);
              for (int c = 0; c < e.in_channels; ++c) {
                const Scalar value = in[c];
                const Scalar* w = weights + e.weight_at(kj, ki, c);
#pragma omp simd
                for (int k = 0; k < e.out_channels; ++k) out[k] += value * w[k];
              }
            }
          if (activate)
            for (int k = 0; k < e.out_channels; ++k) {
              const Scalar v = out[k] > Scalar(0) ? out[k] : slope * out[k];
              out[k] = v > cap ? cap : v;
            }
        }
      });
}

/// dx = adjoint of the convolution applied to dy (padding channels become zero).
template <class Space, class Scalar>
void convolution_backward_data(const ConvolutionExtents& e, const Scalar* dy, const Scalar* weights, Scalar* dx) {
  Kokkos::parallel_for(
      "convolution_backward_data", Kokkos::RangePolicy<Space>(0, e.images * e.padded_height()),
      KOKKOS_LAMBDA(const int row) {
        const int image = row / e.padded_height(), j = row % e.padded_height();
        for (int i = 0; i < e.padded_width(); ++i) {
          Scalar* to = dx + e.x_at(image, j, i);
          for (int c = 0; c < e.in_stride; ++c) to[c] = Scalar(0);
          for (int kj = 0; kj < e.kernel; ++kj)
            for (int ki = 0; ki < e.kernel; ++ki) {
              const int oj = j - kj, oi = i - ki;
              if (oj < 0 || oj >= e.height || oi < 0 || oi >= e.width) continue;
              const Scalar* from = dy + e.y_at(image, oj, oi);
              for (int c = 0; c < e.in_channels; ++c) {
                const Scalar* w = weights + e.weight_at(kj, ki, c);
                Scalar sum = 0;
                for (int k = 0; k < e.out_channels; ++k) sum += from[k] * w[k];
                to[c] += sum;
              }
            }
        }
      });
}

/// dweights += x^T dy and dbias += sum of dy, both summed in the order of images and cells.
template <class Space, class Scalar>
void convolution_backward_weights(const ConvolutionExtents& e, const Scalar* x, const Scalar* dy, Scalar* dweights,
                                  Scalar* dbias) {
  Kokkos::parallel_for(
      "convolution_backward_weights", Kokkos::RangePolicy<Space>(0, e.kernel * e.kernel * e.in_channels),
      KOKKOS_LAMBDA(const int row) {
        const int c = row % e.in_channels, ki = (row / e.in_channels) % e.kernel, kj = row / (e.in_channels * e.kernel);
        Scalar* to = dweights + e.weight_at(kj, ki, c);
        for (int image = 0; image < e.images; ++image)
          for (int j = 0; j < e.height; ++j)
            for (int i = 0; i < e.width; ++i) {
              const Scalar value = x[e.x_at(image, j + kj, i + ki) + c];
              const Scalar* from = dy + e.y_at(image, j, i);
#pragma omp simd
              for (int k = 0; k < e.out_channels; ++k) to[k] += value * from[k];
            }
      });
  Kokkos::parallel_for(
      "convolution_backward_bias", Kokkos::RangePolicy<Space>(0, e.out_channels), KOKKOS_LAMBDA(const int k) {
        Scalar sum = 0;
        for (int image = 0; image < e.images; ++image)
          for (int j = 0; j < e.height; ++j)
            for (int i = 0; i < e.width; ++i) sum += dy[e.y_at(image, j, i) + k];
        dbias[k] += sum;
      });
}

}  // namespace tramontane
