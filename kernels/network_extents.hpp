/// Shapes of one convolution layer. Free of Kokkos, so that a vendor library's adapter can be compiled on its own.
///
/// Shapes: x (images, height + 2 border, width + 2 border, in_stride), y (images, height, width, out_stride), weights
/// (kernel, kernel, in_channels, out_channels), bias (out_channels), with 2 border = dilation (kernel - 1). Channels
/// beyond in_channels or out_channels are padding: ignored on input, written as zero on output.
#pragma once

#include <cstddef>

namespace tramontane {

struct ConvolutionExtents {
  int images, height, width, kernel;
  int in_channels, out_channels;
  int in_stride, out_stride;
  int dilation = 1;  ///< cells from one tap of the kernel to the next

  constexpr int padded_height() const { return height + dilation * (kernel - 1); }
  constexpr int padded_width() const { return width + dilation * (kernel - 1); }
  constexpr std::size_t x_at(int image, int j, int i) const {
    return ((static_cast<std::size_t>(image) * padded_height() + j) * padded_width() + i) * in_stride;
  }
  constexpr std::size_t y_at(int image, int j, int i) const {
    return ((static_cast<std::size_t>(image) * height + j) * width + i) * out_stride;
  }
  constexpr std::size_t weight_at(int kj, int ki, int c) const {
    return ((static_cast<std::size_t>(kj) * kernel + ki) * in_channels + c) * out_channels;
  }
  constexpr std::size_t weights() const { return weight_at(kernel, 0, 0); }
};

}  // namespace tramontane
