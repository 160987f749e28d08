/// Sixteen 16-bit numbers at a time, widened to single precision and rounded back. Written out, because compilers do
/// not see through the conversions of Bfloat16: a loop over them runs at one number a nanosecond.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/bfloat16.hpp"

#if (defined(__GNUC__) || defined(__clang__)) && !defined(TRAMONTANE_DEVICE_LAYOUT)
#define TRAMONTANE_BFLOAT16_LANES

namespace tramontane {

inline constexpr int kBfloat16Lanes = 16;
using WideLanes = float __attribute__((vector_size(kBfloat16Lanes * sizeof(float))));

inline WideLanes wide_lanes(float value) {
  return value - WideLanes{};
}

inline WideLanes load_lanes(const Bfloat16* from) {
  using Short = std::uint16_t __attribute__((vector_size(kBfloat16Lanes * sizeof(std::uint16_t))));
  using Bits = std::uint32_t __attribute__((vector_size(kBfloat16Lanes * sizeof(std::uint32_t))));
  Short narrow;
  std::memcpy(&narrow, from, sizeof narrow);
  const Bits wide = __builtin_convertvector(narrow, Bits) << 16;
  WideLanes value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

/// Rounds as Bfloat16's constructor does.
inline void store_lanes(Bfloat16* to, const WideLanes& value) {
  using Short = std::uint16_t __attribute__((vector_size(kBfloat16Lanes * sizeof(std::uint16_t))));
  using Bits = std::uint32_t __attribute__((vector_size(kBfloat16Lanes * sizeof(std::uint32_t))));
  Bits wide;
  std::memcpy(&wide, &value, sizeof wide);
  const Bits quiet = (wide >> 16) | 0x40u, nearest = (wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16;
  const Bits rounded = (wide & 0x7fffffffu) > 0x7f800000u ? quiet : nearest;
  const Short narrow = __builtin_convertvector(rounded, Short);
  std::memcpy(to, &narrow, sizeof narrow);
}

}  // namespace tramontane

#endif
