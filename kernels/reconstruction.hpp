/// One-dimensional polynomial reconstruction from cell averages: weights for face values, Gauss points and slopes.
#pragma once

#include <Kokkos_Core.hpp>
#include <array>

#include "kernels/packs.hpp"

namespace tramontane {

/// Cells of the default reconstruction stencil, and its reach to either side of the middle cell.
inline constexpr int kStencil = 5;
inline constexpr int kStencilReach = kStencil / 2;

/// Two-point Gauss-Legendre nodes of a cell, in cell widths from its centre; both weights are 1/2. Its error,
/// h^4 f''''/4320, sets the formal order of the scheme to four.
inline constexpr int kGaussPoints = 2;
inline constexpr double kGaussNode[kGaussPoints] = {-0.28867513459481288225, 0.28867513459481288225};

/// Weights w_k such that sum_k w_k qbar_k is, at position x, the value (derivative = 0) or the first derivative
/// (derivative = 1) of the polynomial of degree Stencil - 1 whose averages over the cells [k, k+1], k = 0..Stencil-1,
/// are qbar_k. x is in cell widths from the left edge of the stencil. The polynomial is the derivative of the Lagrange
/// interpolant of the primitive on the cell edges (Harten et al. 1987, J. Comput. Phys. 71, section 3).
template <int Stencil = kStencil>
constexpr std::array<double, Stencil> average_weights(double x, int derivative = 0) {
  constexpr int edges = Stencil + 1;
  // Order of differentiation of the primitive's Lagrange polynomials.
  const int order = derivative + 1;
  std::array<double, edges> lagrange{};
  for (int m = 0; m < edges; ++m) {
    // Polynomial coefficients of prod_{l != m} (x - l)/(m - l), then differentiate `order` times by Horner.
    std::array<double, edges> c{};
    c[0] = 1.0;
    int degree = 0;
    for (int l = 0; l < edges; ++l) {
      if (l == m) continue;
      for (int k = degree + 1; k > 0; --k) c[k] = (c[k - 1] - l * c[k]) / (m - l);
      c[0] = -l * c[0] / (m - l);
      ++degree;
    }
    double value = 0.0;
    for (int k = edges - 1; k >= order; --k) {
      double factor = 1.0;
      for (int d = 0; d < order; ++d) factor *= k - d;
      value = value * x + factor * c[k];
    }
    lagrange[m] = value;
  }
  std::array<double, Stencil> w{};
  for (int k = 0; k < Stencil; ++k)
    for (int m = k + 1; m < edges; ++m) w[k] += lagrange[m];
  return w;
}

/// Fifth-order value at the right face of the middle cell from five averages, leftmost first: upwind for flow to the
/// right. Mirror the arguments for the left face. For kernels that need one side only.
template <class T>
KOKKOS_FORCEINLINE_FUNCTION constexpr T face_value(T a, T b, T c, T d, T e) {
  return (T(2) * a - T(13) * b + T(47) * c + T(27) * d - T(3) * e) * T(1.0 / 60.0);
}

/// All weights of a reconstruction of odd order, as a kernel captures them; stencils are centred on the cell. Weights
/// come split into what is even and what is odd under reflection: the two Gauss points of a cell, and the two sides of
/// a face, then share sums and loads, and a mirrored field gives mirrored values to the last bit.
template <int Order, class T = Real>
struct Reconstruction {
  static constexpr int reach = Order / 2;  ///< cells to either side of the middle one
  static constexpr int halo = reach + 1;   ///< ghost cells that the faces of a tile need

  T value_even[halo], value_odd[halo];  ///< at the Gauss points: of cell 0 and of pairs of cells 1..reach apart
  T slope_even[halo], slope_odd[halo];  ///< derivative per cell width there
  T face_mean[halo], face_jump[halo];   ///< of pairs of cells 0..reach away from a face

  Reconstruction() {
    const auto value = average_weights<Order>(reach + 0.5 + kGaussNode[1]);
    const auto slope = average_weights<Order>(reach + 0.5 + kGaussNode[1], 1);
    const auto face = average_weights<Order>(reach + 1.0);  // right face of the middle cell, seen from its side
    for (int k = 0; k < halo; ++k) {
      value_even[k] = static_cast<T>(0.5 * (value[reach + k] + value[reach - k]));
      value_odd[k] = static_cast<T>(0.5 * (value[reach + k] - value[reach - k]));
      slope_even[k] = static_cast<T>(0.5 * (slope[reach + k] + slope[reach - k]));
      slope_odd[k] = static_cast<T>(0.5 * (slope[reach + k] - slope[reach - k]));
      const double far = k < reach ? face[reach + 1 + k] : 0.0;
      face_mean[k] = static_cast<T>(0.5 * (face[reach - k] + far));
      face_jump[k] = static_cast<T>(0.5 * (face[reach - k] - far));
    }
  }

  /// Values at the Gauss points in ascending order; V: T or a pack of them.
  template <class V>
  struct Points {
    V first, second;
  };
  /// Values at a cell's Gauss points; at(k), k = 0..Order-1, are the averages from the leftmost cell on.
  template <class At>
  KOKKOS_FORCEINLINE_FUNCTION auto values(const At& at) const {
    const auto part = even_and_odd(value_even, value_odd, at);
    return Points<decltype(part.even)>{part.even - part.odd, part.even + part.odd};
  }
  /// Derivatives per cell width there.
  template <class At>
  KOKKOS_FORCEINLINE_FUNCTION auto slopes(const At& at) const {
    const auto part = even_and_odd(slope_even, slope_odd, at);
    return Points<decltype(part.even)>{part.odd - part.even, part.odd + part.even};
  }

  template <class V>
  struct Sides {
    V left, right;
  };
  /// Upwind values on the two sides of a face; at(k), k = 0..Order, are the averages from the leftmost cell on, the
  /// face between k = reach and k = reach + 1.
  template <class At>
  KOKKOS_FORCEINLINE_FUNCTION auto sides(const At& at) const {
    const auto average = take<Order + 1>(at);
    const auto& q = average.cell;
    auto mean = face_mean[0] * (q[reach] + q[reach + 1]), jump = face_jump[0] * (q[reach] - q[reach + 1]);
    TRAMONTANE_UNROLL
    for (int k = 1; k <= reach; ++k) {
      mean = multiply_add(face_mean[k], q[reach - k] + q[reach + 1 + k], mean);
      jump = multiply_add(face_jump[k], q[reach - k] - q[reach + 1 + k], jump);
    }
    return Sides<decltype(mean)>{mean + jump, mean - jump};
  }

 private:
  /// Averages of Count cells. Read once and kept: compilers else read each for the sum and for the difference, and what
  /// limits a kernel is reads that straddle two cache lines (docs/design/performance.md).
  template <int Count, class V>
  struct Averages {
    V cell[Count];
  };
  template <int Count, class At>
  KOKKOS_FORCEINLINE_FUNCTION static auto take(const At& at) {
    Averages<Count, std::decay_t<decltype(at(0))>> q;
    TRAMONTANE_UNROLL
    for (int k = 0; k < Count; ++k) q.cell[k] = at(k);
    return q;
  }
  template <class V>
  struct Parts {
    V even, odd;
  };
  template <class At>
  KOKKOS_FORCEINLINE_FUNCTION auto even_and_odd(const T* of_even, const T* of_odd, const At& at) const {
    const auto average = take<Order>(at);
    const auto& q = average.cell;
    auto odd = of_odd[1] * (q[reach + 1] - q[reach - 1]);
    auto even = multiply_add(of_even[1], q[reach + 1] + q[reach - 1], of_even[0] * q[reach]);
    TRAMONTANE_UNROLL
    for (int k = 2; k <= reach; ++k) {
      even = multiply_add(of_even[k], q[reach + k] + q[reach - k], even);
      odd = multiply_add(of_odd[k], q[reach + k] - q[reach - k], odd);
    }
    return Parts<decltype(even)>{even, odd};
  }
};

/// Calls `body` with an instance of std::integral_constant<int, order> for the orders that are built: 3, 5 and 7.
template <class Body>
void with_order(int order, const Body& body) {
  switch (order) {
    case 3:
      return body(std::integral_constant<int, 3>());
    case 7:
      return body(std::integral_constant<int, 7>());
    default:
      return body(std::integral_constant<int, 5>());
  }
}

}  // namespace tramontane
