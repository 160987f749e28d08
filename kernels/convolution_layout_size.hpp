/// Sizes of the arrays that kernels/convolution_layout.hpp works on. Free of Kokkos, so that a vendor library's adapter
/// can be compiled on its own.
#pragma once

#include "kernels/network_extents.hpp"

namespace tramontane {

/// Elements of a packed filter (out_stride, kernel, kernel, in_stride).
constexpr std::size_t packed_filter_size(const ConvolutionExtents& e) {
  return static_cast<std::size_t>(e.out_stride) * e.kernel * e.kernel * e.in_stride;
}

/// Cells that one partial sum of a bias gradient covers, and how many partial sums a channel has.
inline constexpr int kBiasChunk = 256;
constexpr int bias_chunks(const ConvolutionExtents& e) {
  return (e.images * e.height * e.width + kBiasChunk - 1) / kBiasChunk;
}

}  // namespace tramontane
