/// One-dimensional polynomial reconstruction from cell averages: weights for face values, Gauss points and slopes.
#pragma once

#include <Kokkos_Core.hpp>
#include <array>

#include "kernels/multiply_add.hpp"
#include "kernels/types.hpp"

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

/// All weights of a reconstruction of odd order, as a kernel captures them. Stencils are centred on the cell; `face` is
/// the value at its right face, upwind for flow to the right, from the leftmost average on. Mirror for the left face.
template <int Order>
struct Reconstruction {
  static constexpr int reach = Order / 2;  ///< cells to either side of the middle one
  static constexpr int halo = reach + 1;   ///< ghost cells that the faces of a tile need

  Real face[Order];
  Real value[kGaussPoints][Order];
  Real slope[kGaussPoints][Order];  ///< derivative per cell width

  Reconstruction() {
    const auto at_face = average_weights<Order>(reach + 1.0);
    for (int k = 0; k < Order; ++k) face[k] = static_cast<Real>(at_face[k]);
    for (int g = 0; g < kGaussPoints; ++g) {
      const auto at_point = average_weights<Order>(reach + 0.5 + kGaussNode[g]);
      const auto slope_at = average_weights<Order>(reach + 0.5 + kGaussNode[g], 1);
      for (int k = 0; k < Order; ++k) {
        value[g][k] = static_cast<Real>(at_point[k]);
        slope[g][k] = static_cast<Real>(slope_at[k]);
      }
    }
  }

  /// Value at a face from its left side: `at(k)`, k = 0..Order-1, are the averages from the leftmost cell on.
  template <class At>
  KOKKOS_FORCEINLINE_FUNCTION Real from_left(const At& at) const {
    return weighted_sum<Order>(face, at);
  }
  /// Value at the same face from its right side: the stencil's cells are at(Order) down to at(1).
  template <class At>
  KOKKOS_FORCEINLINE_FUNCTION Real from_right(const At& at) const {
    return weighted_sum<Order>(face, [&](int k) { return at(Order - k); });
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
