/// Gauss-Legendre quadrature on a cell, for cell averages of smooth functions.
#pragma once

#include <array>

namespace tramontane {

/// Five-point rule on [-1/2, 1/2], weights summing to one: exact to degree 9.
struct GaussRule {
  std::array<double, 5> node{-0.45308992296933199640, -0.26923465505284154552, 0.0, 0.26923465505284154552,
                             0.45308992296933199640};
  std::array<double, 5> weight{0.11846344252809454376, 0.23931433524968323402, 0.28444444444444444444,
                               0.23931433524968323402, 0.11846344252809454376};
};

/// Sum over the 25 points of a cell of weight * f(node_alpha, node_beta).
template <class Function>
auto cell_quadrature(const Function& f) {
  constexpr GaussRule rule;
  decltype(f(0.0, 0.0)) sum{};
  for (int q = 0; q < 5; ++q)
    for (int p = 0; p < 5; ++p) sum = sum + (rule.weight[p] * rule.weight[q]) * f(rule.node[p], rule.node[q]);
  return sum;
}

}  // namespace tramontane
