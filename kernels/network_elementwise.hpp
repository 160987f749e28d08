/// Kernels of a network that treat every element alike: sums of arrays, and a look for values that are not finite.
#pragma once

#include "kernels/network_gather.hpp"

namespace tramontane {

#ifdef TRAMONTANE_BFLOAT16_LANES
/// On the host: target = a + b (b may be null), with `activate` followed by the capped leaky ReLU, and with `output`
/// times the activation's derivative at it.
inline void combine_elements(std::size_t count, const Bfloat16* a, const Bfloat16* b, bool activate,
                             const Bfloat16* output, float slope, float cap, Bfloat16* target) {
  std::size_t k = 0;
  for (; k + kBfloat16Lanes <= count; k += kBfloat16Lanes) {
    WideLanes v = load_lanes(a + k);
    if (b) v += load_lanes(b + k);
    if (activate) {
      v = v > 0.0f ? v : slope * v;
      v = v > cap ? wide_lanes(cap) : v;
    }
    if (output) v *= capped_leaky_relu_derivative(load_lanes(output + k), slope, cap);
    store_lanes(target + k, v);
  }
  for (; k < count; ++k) {
    float v = static_cast<float>(a[k]) + (b ? static_cast<float>(b[k]) : 0.0f);
    if (activate) {
      v = v > 0.0f ? v : slope * v;
      v = v > cap ? cap : v;
    }
    if (output) v *= capped_leaky_relu_derivative<float>(output[k], slope, cap);
    target[k] = static_cast<Bfloat16>(v);
  }
}
template <class Space, class Scalar>
inline constexpr bool kInBfloat16Lanes =
    std::is_same_v<Scalar, Bfloat16>&& std::is_same_v<Space, Kokkos::DefaultHostExecutionSpace>;
#endif

/// target = (accumulate ? target : 0) + source over `count` elements, then, if `output` is given, times the
/// activation's derivative at it.
template <class Space, class Scalar>
void add_elements(std::size_t count, const Scalar* source, bool accumulate, const Scalar* output,
                  ArithmeticOf<Scalar> slope, ArithmeticOf<Scalar> cap, Scalar* target) {
#ifdef TRAMONTANE_BFLOAT16_LANES
  if constexpr (kInBfloat16Lanes<Space, Scalar>)
    return combine_elements(count, source, accumulate ? target : nullptr, false, output, slope, cap, target);
#endif
  using Sum = ArithmeticOf<Scalar>;
  const Kokkos::RangePolicy<Space, Kokkos::IndexType<std::size_t>> all(0, count);
  // One loop a case, so that each vectorises.
  if (accumulate && output)
    Kokkos::parallel_for(
        "add_elements", all, KOKKOS_LAMBDA(const std::size_t k) {
          const Sum sum = static_cast<Sum>(target[k]) + static_cast<Sum>(source[k]);
          target[k] = static_cast<Scalar>(sum * capped_leaky_relu_derivative<Sum>(output[k], slope, cap));
        });
  else if (accumulate)
    Kokkos::parallel_for(
        "add_elements", all, KOKKOS_LAMBDA(const std::size_t k) {
          target[k] = static_cast<Scalar>(static_cast<Sum>(target[k]) + static_cast<Sum>(source[k]));
        });
  else if (output)
    Kokkos::parallel_for(
        "add_elements", all, KOKKOS_LAMBDA(const std::size_t k) {
          target[k] = static_cast<Scalar>(static_cast<Sum>(source[k]) *
                                          capped_leaky_relu_derivative<Sum>(output[k], slope, cap));
        });
  else
    Kokkos::parallel_for(
        "add_elements", all, KOKKOS_LAMBDA(const std::size_t k) { target[k] = source[k]; });
}

/// target *= the activation's derivative at `output`.
template <class Space, class Scalar>
void multiply_by_derivative(std::size_t count, const Scalar* output, ArithmeticOf<Scalar> slope,
                            ArithmeticOf<Scalar> cap, Scalar* target) {
#ifdef TRAMONTANE_BFLOAT16_LANES
  if constexpr (kInBfloat16Lanes<Space, Scalar>)
    return combine_elements(count, target, nullptr, false, output, slope, cap, target);
#endif
  using Sum = ArithmeticOf<Scalar>;
  Kokkos::parallel_for(
      "multiply_by_derivative", Kokkos::RangePolicy<Space, Kokkos::IndexType<std::size_t>>(0, count),
      KOKKOS_LAMBDA(const std::size_t k) {
        target[k] =
            static_cast<Scalar>(static_cast<Sum>(target[k]) * capped_leaky_relu_derivative<Sum>(output[k], slope, cap));
      });
}

/// y = a + b, with `activate` followed by the capped leaky ReLU.
template <class Space, class Scalar>
void add_arrays(std::size_t count, const Scalar* a, const Scalar* b, bool activate, ArithmeticOf<Scalar> slope,
                ArithmeticOf<Scalar> cap, Scalar* y) {
#ifdef TRAMONTANE_BFLOAT16_LANES
  if constexpr (kInBfloat16Lanes<Space, Scalar>) return combine_elements(count, a, b, activate, nullptr, slope, cap, y);
#endif
  using Sum = ArithmeticOf<Scalar>;
  Kokkos::parallel_for(
      "add_arrays", Kokkos::RangePolicy<Space, Kokkos::IndexType<std::size_t>>(0, count),
      KOKKOS_LAMBDA(const std::size_t k) {
        Sum v = static_cast<Sum>(a[k]) + static_cast<Sum>(b[k]);
        if (activate) {
          v = v > Sum(0) ? v : slope * v;
          v = v > cap ? cap : v;
        }
        y[k] = static_cast<Scalar>(v);
      });
}

/// How many of the elements are infinite or NaN.
template <class Space, class Scalar>
std::size_t count_not_finite(std::size_t count, const Scalar* values) {
  using Sum = ArithmeticOf<Scalar>;
  std::size_t found = 0;
  Kokkos::parallel_reduce(
      "count_not_finite", Kokkos::RangePolicy<Space, Kokkos::IndexType<std::size_t>>(0, count),
      KOKKOS_LAMBDA(const std::size_t k, std::size_t& sum) {
        const Sum v = values[k];
        sum += v - v == Sum(0) ? 0 : 1;
      },
      found);
  return found;
}

/// Fills an array.
template <class Space, class Scalar>
void fill_elements(std::size_t count, Scalar value, Scalar* target) {
  Kokkos::parallel_for(
      "fill_elements", Kokkos::RangePolicy<Space, Kokkos::IndexType<std::size_t>>(0, count),
      KOKKOS_LAMBDA(const std::size_t k) { target[k] = value; });
}

/// Copies an array within one memory.
template <class Space, class Scalar>
void copy_elements(std::size_t count, const Scalar* source, Scalar* target) {
  Kokkos::parallel_for(
      "copy_elements", Kokkos::RangePolicy<Space, Kokkos::IndexType<std::size_t>>(0, count),
      KOKKOS_LAMBDA(const std::size_t k) { target[k] = source[k]; });
}

}  // namespace tramontane
