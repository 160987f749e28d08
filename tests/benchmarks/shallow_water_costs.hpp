/// What the kernels of the shallow-water core compute and touch, counted from their sources: change these with them.
#pragma once

#include <map>
#include <string>

#include "physics/region.hpp"

namespace tramontane {

/// Per cell and stage.
struct KernelCost {
  double operations;  ///< floating-point: a multiply-add is two, a division, a square root, an absolute value one
  double numbers;     ///< elements of type Real of the arrays that the kernel reads or writes, each once
};

/// Cells that a region computes twice (lines beyond its rim) and sums that both sides of a select form are counted once
/// and as written, loop-invariant ones not at all.
inline std::map<std::string, KernelCost> kernel_costs(int order, int n) {
  const int reach = order / 2;
  // Reconstruction: two products, per pair of cells a sum, a difference and two multiply-adds (the first pair of the odd
  // part one less), a sum and a difference.
  const double points = 2 + 6 * reach;
  // Two products of a sum and a difference, then the same.
  const double sides = 6 + 6 * reach;
  // face_flux: 45, of which one division and one square root. Beside it the metric of the point (alpha: 8; beta: 10,
  // because the tangent along the face varies along the row) and half of the mean of two points, three times.
  const double face = 3 * sides + 45 + 3, alpha_metric = 8, beta_metric = 10;
  // A Gauss line of a cell: five reconstructions, 12 for the division that its two points share and their sum, and 44 a
  // point: derivatives 6, one over mass 2, point 5, momentum_source 31.
  const double line = 5 * points + 12 + 2 * 44;
  // Ghosts are sums over 5 x 5 (order 7: 7 x 7) cells, of E once and for the momentum three times. There are
  // 24 n width of them, and 48 n points on panel edges, both panels' counted, on 6 n^2 cells.
  const double stencil = order == 7 ? 7 : 5, width = order == 7 ? 4 : 3;
  const double ghosts = 4 * width / n, edge_points = 8.0 / n;
  return {
      // Read: 3 of the state. Written: 3 variables on 2 lines in both directions, and the slopes of E.
      {"gauss_lines", {7 * points, 3 + 12 + 2}},
      // Read: 6 lines, 8 of FaceMetric, 2 of the orography. Written: 3.
      {"alpha_fluxes", {2 * (face + alpha_metric), 6 + 8 + 2 + 3}},
      {"beta_fluxes", {2 * (face + beta_metric), 6 + 8 + 2 + 3}},
      // Read: 8 lines, 6 fluxes, 16 of VolumeMetric, 4 of the orography, state and begin. Written: 3. The sum of the
      // sources is 2, the tendencies 16, the combination 18.
      {"update", {2 * line + 2 + 16 + 18, 8 + 6 + 16 + 4 + 6 + 3}},
      // Weights (three kinds, shared by 24 sides), the cells of the strips, 3 ghosts.
      {"ghosts", {ghosts * 8 * stencil * stencil, ghosts * (3 * stencil * stencil / 24 + 6)}},
      // Per point: three reconstructions and 12, then the Riemann problem 45 and the update 3.
      {"edge_states", {edge_points * (3 * sides + 12), edge_points * 11}},
      {"edge_fluxes", {edge_points * 45, edge_points * 16}},
      {"edge_update", {edge_points * 3, edge_points * 4.5}},
  };
}

/// Numbers a stage of SSPRK3 must move between memory and cache, per cell, when a region's work space stays in the
/// cache and the metric tables of a region serve six panels: state 3, begin 3 in two stages of three, result 3, its
/// lines fetched before they are written in two of three, orography at faces and in volumes 8, metric 32 for six
/// panels. On a device there is one region, and every kernel's numbers come from memory.
inline double memory_numbers(int order, int n) {
  if (Kokkos::SpaceAccessibility<HostSpace, MemorySpace>::accessible) return 3 + 2 + 3 + 2 + 8 + 32.0 / kPanels;
  double sum = 0;
  for (const auto& [name, cost] : kernel_costs(order, n)) sum += cost.numbers;
  return sum;
}

}  // namespace tramontane
