/// Kernels around a vendor library's convolutions: weights and their gradient between our layout and the library's, and
/// the parts of a layer that a library may not have fused. Run on host and device alike.
///
/// Ours is (kernel, kernel, in_channels, out_channels), the library's "KRSC": (out_stride, kernel, kernel, in_stride)
/// with the input channel fastest, channels beyond in_channels or out_channels zero.
#pragma once

#include "kernels/convolution_layout_size.hpp"
#include "kernels/network_scalar.hpp"
#include "kernels/types.hpp"

namespace tramontane {

/// packed = weights, cast to what the library reads.
template <class Space, class Packed, class Parameter>
void pack_filter(const ConvolutionExtents& extents, const Parameter* weights, Packed* packed) {
  const ConvolutionExtents e = extents;
  Kokkos::parallel_for(
      "pack_filter", Kokkos::RangePolicy<Space, Kokkos::IndexType<std::size_t>>(0, packed_filter_size(e)),
      KOKKOS_LAMBDA(const std::size_t at) {
        const int c = static_cast<int>(at % e.in_stride),
                  tap = static_cast<int>(at / e.in_stride % (e.kernel * e.kernel));
        const int k = static_cast<int>(at / e.in_stride / (e.kernel * e.kernel));
        const bool real = c < e.in_channels && k < e.out_channels;
        packed[at] =
            static_cast<Packed>(real ? weights[e.weight_at(tap / e.kernel, tap % e.kernel, c) + k] : Parameter(0));
      });
}

/// dweights += packed, padding channels left out.
template <class Space, class Packed, class Parameter>
void add_packed_filter(const ConvolutionExtents& extents, const Packed* packed, Parameter* dweights) {
  const ConvolutionExtents e = extents;
  Kokkos::parallel_for(
      "add_packed_filter", Kokkos::RangePolicy<Space, Kokkos::IndexType<std::size_t>>(0, e.weights()),
      KOKKOS_LAMBDA(const std::size_t at) {
        const int k = static_cast<int>(at % e.out_channels), c = static_cast<int>(at / e.out_channels % e.in_channels);
        const int tap = static_cast<int>(at / e.out_channels / e.in_channels);
        const std::size_t from = (static_cast<std::size_t>(k) * e.kernel * e.kernel + tap) * e.in_stride + c;
        dweights[at] += static_cast<Parameter>(packed[from]);
      });
}

/// padded (out_stride) = bias (out_channels), then zeros.
template <class Space, class Parameter>
void pad_bias(const ConvolutionExtents& extents, const Parameter* bias, Parameter* padded) {
  const ConvolutionExtents e = extents;
  Kokkos::parallel_for(
      "pad_bias", Kokkos::RangePolicy<Space>(0, e.out_stride),
      KOKKOS_LAMBDA(const int k) { padded[k] = k < e.out_channels ? bias[k] : Parameter(0); });
}

/// dbias += sum of dy over images and cells, in two steps of fixed order: partial sums of kBiasChunk cells, then those
/// in turn. `partial` is work space of bias_chunks(e) * out_channels.
template <class Space, class Scalar>
void add_bias_gradient(const ConvolutionExtents& extents, const Scalar* dy, ParameterOf<Scalar>* partial,
                       ParameterOf<Scalar>* dbias) {
  using Sum = ParameterOf<Scalar>;
  const ConvolutionExtents e = extents;
  const int cells = e.images * e.height * e.width, chunks = bias_chunks(e);
  Kokkos::parallel_for(
      "bias gradient, partial", Kokkos::RangePolicy<Space>(0, chunks * e.out_channels), KOKKOS_LAMBDA(const int at) {
        const int k = at % e.out_channels, chunk = at / e.out_channels;
        const int begin = chunk * kBiasChunk, end = begin + kBiasChunk < cells ? begin + kBiasChunk : cells;
        Sum sum = 0;
        for (int cell = begin; cell < end; ++cell)
          sum += static_cast<Sum>(dy[static_cast<std::size_t>(cell) * e.out_stride + k]);
        partial[at] = sum;
      });
  Kokkos::parallel_for(
      "bias gradient", Kokkos::RangePolicy<Space>(0, e.out_channels), KOKKOS_LAMBDA(const int k) {
        Sum sum = 0;
        for (int chunk = 0; chunk < chunks; ++chunk)
          sum += partial[static_cast<std::size_t>(chunk) * e.out_channels + k];
        dbias[k] += sum;
      });
}

/// y = activation(y + bias), for a convolution that the library computed without them. `bias` is padded to out_stride.
template <class Space, class Scalar>
void add_bias_and_activate(const ConvolutionExtents& extents, const ParameterOf<Scalar>* bias, bool activate,
                           ArithmeticOf<Scalar> slope, ArithmeticOf<Scalar> cap, Scalar* y) {
  using Number = ArithmeticOf<Scalar>;
  const int stride = extents.out_stride;
  Kokkos::parallel_for(
      "bias and activation",
      Kokkos::RangePolicy<Space, Kokkos::IndexType<std::size_t>>(0, extents.y_at(extents.images, 0, 0)),
      KOKKOS_LAMBDA(const std::size_t at) {
        Number v = static_cast<Number>(y[at]) + bias[at % stride];
        if (activate) {
          v = v > Number(0) ? v : slope * v;
          v = v > cap ? cap : v;
        }
        y[at] = static_cast<Scalar>(v);
      });
}

}  // namespace tramontane
