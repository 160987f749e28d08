/// Turning vectors between Cartesian components and the axes of a panel, cell by cell (see ml/panel_frames.hpp).
#pragma once

#include <cmath>
#include <type_traits>

#include "kernels/types.hpp"

namespace tramontane {

/// Vectors of a network of doubles are turned in double, all others in single precision.
template <class Scalar>
using TurnArithmetic = std::conditional_t<std::is_same_v<Scalar, double>, double, float>;

/// Axes are (alpha x, y, z, beta x, y, z).
template <class Number>
KOKKOS_INLINE_FUNCTION void vector_to_cartesian(const float* axes, Number along, Number across, Number* v) {
  for (int c = 0; c < 3; ++c) v[c] = along * Number(axes[c]) + across * Number(axes[3 + c]);
}

template <class Number>
KOKKOS_INLINE_FUNCTION Number component_along(const float* axis, Number x, Number y, Number z) {
  return x * Number(axis[0]) + y * Number(axis[1]) + z * Number(axis[2]);
}

/// Cells (count, stride) whose axes (period, 6) repeat every `period` cells; the vector stands in channels
/// [at, at + 3). Replaces it by its components along both axes and its magnitude.
template <class Space, class Scalar>
void turn_to_panel(std::size_t count, std::size_t period, const float* axes, int stride, int at, Scalar* cells) {
  using Number = TurnArithmetic<Scalar>;
  Kokkos::parallel_for(
      "turn_to_panel", Kokkos::RangePolicy<Space>(0, count), KOKKOS_LAMBDA(const std::size_t k) {
        Scalar* v = cells + k * stride + at;
        const float* a = axes + k % period * 6;
        const Number x = v[0], y = v[1], z = v[2];
        v[0] = static_cast<Scalar>(component_along(a, x, y, z));
        v[1] = static_cast<Scalar>(component_along(a + 3, x, y, z));
        v[2] = static_cast<Scalar>(std::sqrt(x * x + y * y + z * z));
      });
}

/// Replaces the first two channels' vector by its Cartesian components.
template <class Space, class Scalar>
void turn_to_cartesian(std::size_t count, std::size_t period, const float* axes, int stride, int at, Scalar* cells) {
  using Number = TurnArithmetic<Scalar>;
  Kokkos::parallel_for(
      "turn_to_cartesian", Kokkos::RangePolicy<Space>(0, count), KOKKOS_LAMBDA(const std::size_t k) {
        Scalar* v = cells + k * stride + at;
        Number turned[3];
        vector_to_cartesian<Number>(axes + k % period * 6, v[0], v[1], turned);
        for (int c = 0; c < 3; ++c) v[c] = static_cast<Scalar>(turned[c]);
      });
}

/// Adjoint of turn_to_cartesian.
template <class Space, class Scalar>
void turn_to_cartesian_adjoint(std::size_t count, std::size_t period, const float* axes, int stride, int at,
                               Scalar* cells) {
  using Number = TurnArithmetic<Scalar>;
  Kokkos::parallel_for(
      "turn_to_cartesian_adjoint", Kokkos::RangePolicy<Space>(0, count), KOKKOS_LAMBDA(const std::size_t k) {
        Scalar* v = cells + k * stride + at;
        const float* a = axes + k % period * 6;
        const Number x = v[0], y = v[1], z = v[2];
        v[0] = static_cast<Scalar>(component_along(a, x, y, z));
        v[1] = static_cast<Scalar>(component_along(a + 3, x, y, z));
        v[2] = static_cast<Scalar>(Number(0));
      });
}

}  // namespace tramontane
