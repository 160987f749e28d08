/// What the cuDNN back end needs from Kokkos, behind plain pointers: cuDNN's headers and Kokkos' never meet in one
/// translation unit. All calls are queued on the default instance of the device's execution space.
#pragma once

#include <cstddef>

#include "kernels/network_extents.hpp"
#include "kernels/network_scalar.hpp"

namespace tramontane::device {

/// The cudaStream_t of that instance.
void* default_stream();
/// The CUDA device that Kokkos works on.
int default_device();

// See kernels/convolution_layout.hpp. Packed is float or Bfloat16, as is Scalar.
template <class Packed>
void pack_filter(const ConvolutionExtents& extents, const float* weights, Packed* packed);
template <class Packed>
void add_packed_filter(const ConvolutionExtents& extents, const Packed* packed, float* dweights);
void pad_bias(const ConvolutionExtents& extents, const float* bias, float* padded);
template <class Scalar>
void add_bias_gradient(const ConvolutionExtents& extents, const Scalar* dy, float* partial, float* dbias);
template <class Scalar>
void add_bias_and_activate(const ConvolutionExtents& extents, const float* bias, bool activate, Scalar* y);

}  // namespace tramontane::device
