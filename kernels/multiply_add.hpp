/// Multiply-add that rounds the same way wherever it stands.
#pragma once

#include <Kokkos_Core.hpp>
#include <cmath>

/// Stands before a loop over a stencil.
#if defined(KOKKOS_ENABLE_CUDA) || defined(KOKKOS_ENABLE_HIP)
#define TRAMONTANE_UNROLL _Pragma("unroll")
#else
#define TRAMONTANE_UNROLL _Pragma("GCC unroll 8")
#endif

namespace tramontane {

/// a * b + c, fused where the processor does that in one instruction. Kernels ask for it by name, because contraction
/// at the compiler's discretion fuses other pairs in the tail of a vectorised row than in its body, and a state would
/// depend on the tiling.
template <class T>
KOKKOS_FORCEINLINE_FUNCTION constexpr T multiply_add(T a, T b, T c) {
#if defined(__FMA__) || defined(__CUDA_ARCH__) || defined(__ARM_FEATURE_FMA)
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

/// Sum over k of weight[k] * value(k), in the order of k.
template <int Count, class T, class Value>
KOKKOS_FORCEINLINE_FUNCTION constexpr T weighted_sum(const T* weight, const Value& value) {
  T sum = weight[0] * value(0);
  TRAMONTANE_UNROLL
  for (int k = 1; k < Count; ++k) sum = multiply_add(weight[k], value(k), sum);
  return sum;
}

}  // namespace tramontane
