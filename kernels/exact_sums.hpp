/// Sums of gradients that do not depend on the order of their terms: every term is rounded to a multiple of a fixed
/// unit and added as an integer (Demmel and Nguyen 2013, "Fast reproducible floating-point summation", do the same with
/// floating-point bins). So neither the number of ranks nor who holds which sample can change a bit.
///
/// The unit is 2^-50 and the sum of all terms stays below 2^12. A single-precision number of magnitude 2^-27 (7e-9)
/// or more is a multiple of the unit as it is, so its sum is exact, where single precision would have rounded at every
/// addition; smaller ones are cut at the unit, 9e-16, far below Adam's epsilon of 1e-8.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/types.hpp"

namespace tramontane {

inline constexpr float kExactUnits = 0x1p50f;        ///< per one
inline constexpr float kExactUnit = 0x1p-50f;        ///< of gradients
inline constexpr float kExactLargest = 0x1p12f;      ///< of the sum of all terms
inline constexpr double kExactLossScale = 0x1p-14;   ///< of losses, which are held in units of 2^-36
inline constexpr double kExactLargestLoss = 0x1p26;  ///< of their sum
inline constexpr std::size_t kExactLoss = 0;         ///< where the loss stands before the gradients
inline constexpr std::size_t kExactNotFinite = 1;    ///< not zero: some term was infinite or NaN
inline constexpr std::size_t kExactStatus = 16;      ///< elements before the gradients: a cache line of floats

/// Elements that one iteration of a kernel handles: a vector loop's worth on the host, one on a device.
template <class Space>
inline constexpr std::size_t kElementsAThread =
#if defined(TRAMONTANE_DEVICE_LAYOUT)
    std::is_same_v<Space, ExecutionSpace> ? 1 :
#endif
                                          1024;

template <class Space>
Kokkos::RangePolicy<Space, Kokkos::IndexType<std::size_t>> elements_policy(std::size_t begin, std::size_t end) {
  constexpr std::size_t block = kElementsAThread<Space>;
  return {0, (end - begin + block - 1) / block};
}

KOKKOS_INLINE_FUNCTION std::size_t block_end(std::size_t from, std::size_t block, std::size_t end) {
  return from + block < end ? from + block : end;
}

/// sums[k] = (overwrite ? 0 : sums[k]) + terms[k], and terms[k] = 0, for k in [begin, end). Terms beyond +- `largest`
/// are cut to it: kExactLargest over the number of terms keeps the sum in range. Where a term is not finite,
/// *not_finite becomes 1.
template <class Space>
void add_exactly(std::size_t begin, std::size_t end, float largest, bool overwrite, float* terms, std::int64_t* sums,
                 std::int64_t* not_finite) {
  constexpr std::size_t block = kElementsAThread<Space>;
  Kokkos::parallel_for(
      "add_exactly", elements_policy<Space>(begin, end), KOKKOS_LAMBDA(const std::size_t b) {
        float* __restrict__ term = terms;
        std::int64_t* __restrict__ sum = sums;
        const std::size_t from = begin + b * block, to = block_end(from, block, end);
        const std::int64_t keep = overwrite ? 0 : -1;
        int bad = 0;
#pragma omp simd reduction(| : bad)
        for (std::size_t k = from; k < to; ++k) {
          float v = term[k];
          bad |= v - v == 0.0f ? 0 : 1;
          v = v < largest ? v : largest;  // NaN becomes a number too: it has been noticed
          v = v > -largest ? v : -largest;
          sum[k] = (sum[k] & keep) + static_cast<std::int64_t>(v * kExactUnits);
          term[k] = 0.0f;
        }
        if (bad) *not_finite = 1;
      });
}

/// Status elements at the start of a step.
template <class Space>
void reset_status(bool not_finite, std::int64_t* status) {
  Kokkos::parallel_for(
      "reset_status", Kokkos::RangePolicy<Space>(0, static_cast<int>(kExactStatus)),
      KOKKOS_LAMBDA(const int k) { status[k] = not_finite && k == static_cast<int>(kExactNotFinite) ? 1 : 0; });
}

/// Adds scale * errors[k] of `count` samples to the loss among the status elements at `status`; not finite ones are
/// noted there. A loss beyond +- largest_loss is cut to it.
template <class Space>
void add_losses(int count, const double* errors, double scale, double largest_loss, std::int64_t* status) {
  Kokkos::parallel_for(
      "add_losses", Kokkos::RangePolicy<Space>(0, 1), KOKKOS_LAMBDA(int) {
        for (int k = 0; k < count; ++k) {
          double v = scale * errors[k];
          if (!(v - v == 0.0)) status[kExactNotFinite] = 1;
          v = v < largest_loss ? v : largest_loss;
          status[kExactLoss] += static_cast<std::int64_t>(v * (kExactUnits * kExactLossScale));
        }
      });
}

/// values[k] = sums[k] as a number, for k in [begin, end).
template <class Space>
void exact_to_float(std::size_t begin, std::size_t end, const std::int64_t* sums, float* values) {
  constexpr std::size_t block = kElementsAThread<Space>;
  Kokkos::parallel_for(
      "exact_to_float", elements_policy<Space>(begin, end), KOKKOS_LAMBDA(const std::size_t b) {
        const std::int64_t* __restrict__ sum = sums;
        float* __restrict__ value = values;
        const std::size_t from = begin + b * block, to = block_end(from, block, end);
#pragma omp simd
        for (std::size_t k = from; k < to; ++k) value[k] = static_cast<float>(sum[k]) * kExactUnit;
      });
}

}  // namespace tramontane
