#include "ml/backends/cudnn_kernels.hpp"

#include "kernels/convolution_layout.hpp"
#include "ml/backend.hpp"

namespace tramontane::device {

void* default_stream() {
  return ExecutionSpace().cuda_stream();
}

int default_device() {
  return ExecutionSpace().cuda_device();
}

template <class Packed>
void pack_filter(const ConvolutionExtents& extents, const float* weights, Packed* packed) {
  tramontane::pack_filter<ExecutionSpace>(extents, weights, packed);
}

template <class Packed>
void add_packed_filter(const ConvolutionExtents& extents, const Packed* packed, float* dweights) {
  tramontane::add_packed_filter<ExecutionSpace>(extents, packed, dweights);
}

void pad_bias(const ConvolutionExtents& extents, const float* bias, float* padded) {
  tramontane::pad_bias<ExecutionSpace>(extents, bias, padded);
}

template <class Scalar>
void add_bias_gradient(const ConvolutionExtents& extents, const Scalar* dy, float* partial, float* dbias) {
  tramontane::add_bias_gradient<ExecutionSpace>(extents, dy, partial, dbias);
}

template <class Scalar>
void add_bias_and_activate(const ConvolutionExtents& extents, const float* bias, bool activate, Scalar* y) {
  tramontane::add_bias_and_activate<ExecutionSpace>(extents, bias, activate, static_cast<float>(kLeakySlope),
                                                    static_cast<float>(kLeakyCap), y);
}

#define TRAMONTANE_INSTANTIATE(Type)                                                             \
  template void pack_filter<Type>(const ConvolutionExtents&, const float*, Type*);               \
  template void add_packed_filter<Type>(const ConvolutionExtents&, const Type*, float*);         \
  template void add_bias_gradient<Type>(const ConvolutionExtents&, const Type*, float*, float*); \
  template void add_bias_and_activate<Type>(const ConvolutionExtents&, const float*, bool, Type*);
TRAMONTANE_INSTANTIATE(float)
TRAMONTANE_INSTANTIATE(Bfloat16)

}  // namespace tramontane::device
