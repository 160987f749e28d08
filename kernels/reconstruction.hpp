/// One-dimensional polynomial reconstruction from cell averages: the weights, and the fifth-order upwind face values.
#pragma once

#include <Kokkos_Core.hpp>
#include <array>

namespace tramontane {

/// Cells of a reconstruction stencil, and its reach to either side of the middle cell.
inline constexpr int kStencil = 5;
inline constexpr int kStencilReach = kStencil / 2;

/// Two-point Gauss-Legendre nodes of a cell, in cell widths from its centre; both weights are 1/2. Its error,
/// h^4 f''''/4320, sets the formal order of the scheme to four.
inline constexpr int kGaussPoints = 2;
inline constexpr double kGaussNode[kGaussPoints] = {-0.28867513459481288225, 0.28867513459481288225};

/// Weights w_k such that sum_k w_k qbar_k is, at position x, the value (derivative = 0) or the first derivative
/// (derivative = 1) of the polynomial of degree 4 whose averages over the cells [k, k+1], k = 0..4, are qbar_k.
/// x is in cell widths from the left edge of the stencil. The polynomial is the derivative of the Lagrange
/// interpolant of the primitive on the six cell edges (Harten et al. 1987, J. Comput. Phys. 71, section 3).
inline std::array<double, kStencil> average_weights(double x, int derivative = 0) {
  constexpr int edges = kStencil + 1;
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
  std::array<double, kStencil> w{};
  for (int k = 0; k < kStencil; ++k)
    for (int m = k + 1; m < edges; ++m) w[k] += lagrange[m];
  return w;
}

/// Value at the right face of the middle cell from five averages, q[0] leftmost (fifth order, upwind for flow to the
/// right). Mirror the arguments for the left face.
KOKKOS_INLINE_FUNCTION constexpr double face_value(double a, double b, double c, double d, double e) {
  return (2.0 * a - 13.0 * b + 47.0 * c + 27.0 * d - 3.0 * e) * (1.0 / 60.0);
}

}  // namespace tramontane
