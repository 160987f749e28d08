/// A number of 16 bits with the range of float: the upper half of one. For storage; arithmetic is done in float.
/// Free of Kokkos, so that a vendor library's adapter can be compiled on its own.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__CUDACC__) || defined(__HIPCC__)
#define TRAMONTANE_HOST_DEVICE __host__ __device__
#else
#define TRAMONTANE_HOST_DEVICE
#endif

namespace tramontane {

/// One sign bit, eight of exponent, seven of fraction. Rounds to nearest, ties to even, as processors' own conversions
/// do; NaN stays NaN, what is too large becomes infinity.
struct Bfloat16 {
  std::uint16_t bits;

  Bfloat16() = default;
  TRAMONTANE_HOST_DEVICE explicit Bfloat16(float value) : bits(rounded(value)) {}
  TRAMONTANE_HOST_DEVICE explicit Bfloat16(double value) : Bfloat16(static_cast<float>(value)) {}
  TRAMONTANE_HOST_DEVICE explicit Bfloat16(int value) : Bfloat16(static_cast<float>(value)) {}
  TRAMONTANE_HOST_DEVICE operator float() const {
    const std::uint32_t wide = static_cast<std::uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &wide, sizeof value);
    return value;
  }

 private:
  TRAMONTANE_HOST_DEVICE static std::uint16_t rounded(float value) {
    std::uint32_t wide;
    std::memcpy(&wide, &value, sizeof wide);
    const std::uint32_t quiet = (wide >> 16) | 0x40u;
    // Half a unit of the last place kept, less one where that place is even: a carry then rounds up.
    const std::uint32_t nearest = (wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16;
    return static_cast<std::uint16_t>((wide & 0x7fffffffu) > 0x7f800000u ? quiet : nearest);
  }
};

static_assert(sizeof(Bfloat16) == 2, "arrays of it are handed to libraries");

}  // namespace tramontane
