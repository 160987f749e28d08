/// A handful of numbers that a kernel works on at once where rows are too irregular for simd_for.
#pragma once

#include <cstring>

#include "kernels/types.hpp"

namespace tramontane {

#if (defined(__GNUC__) || defined(__clang__)) && !defined(TRAMONTANE_DEVICE_LAYOUT)
/// On the host one vector register; on a device one number a thread.
inline constexpr int kLanes = 8;
using Lanes = Real __attribute__((vector_size(kLanes * sizeof(Real))));
#else
inline constexpr int kLanes = 1;
using Lanes = Real;
#endif

KOKKOS_INLINE_FUNCTION Lanes load_lanes(const Real* from) {
  Lanes value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

KOKKOS_INLINE_FUNCTION void store_lanes(Real* to, const Lanes& value) {
  std::memcpy(to, &value, sizeof value);
}

}  // namespace tramontane
