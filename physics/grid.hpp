/// The cubed-sphere grid of one rank: its tiles and the metric tables that the solver reads.
#pragma once

#include "kernels/reconstruction.hpp"
#include "kernels/tiling.hpp"
#include "kernels/types.hpp"
#include "physics/cubed_sphere.hpp"

namespace tramontane {

/// Ghost cells on every side of a tile: a fifth-order face value needs three.
inline constexpr int kHalo = 3;

/// Metric at the Gauss points of the faces across one direction. Shape (Gauss point, row, face) for faces across
/// alpha: (2, n, n+1); (2, n+1, n) for faces across beta. n: normal direction, t: the other one.
struct FaceMetric {
  View<double***> left, right;  ///< mean sqrt_g reconstructed as the left and the right state is
  View<double***> sqrt_g;
  View<double***> speed;       ///< sqrt(G^nn): from physical normal velocity to contravariant
  View<double***> pressure_n;  ///< sqrt_g G^nn, scaled so that the face's sum is the exact integral
  View<double***> pressure_t;  ///< sqrt_g G^nt, likewise
};

/// Tables are those of one panel: the metric is the same on all six. "Mean" is over panel angles, not over area.
class Grid {
 public:
  /// @throws InputError when the panel is too small for the stencil or does not divide into tiles
  Grid(const Tiling& tiling, int rank, double radius = kEarthRadius);

  const Tiling& tiling() const { return tiling_; }
  int rank() const { return rank_; }
  int n() const { return tiling_.n; }
  int tile_cells() const { return tiling_.tile_cells(); }
  int first_tile() const { return tiling_.first_tile(rank_); }
  int tile_count() const { return tiling_.owned_count(rank_); }
  double radius() const { return radius_; }
  double spacing() const { return spacing_; }

  /// Angle of edge k of the panel's cells (k = 0 is -pi/4), and of position `offset` (in cells) from the centre of
  /// cell k. Exactly antisymmetric about the panel's middle, so both panels at an edge see the same numbers.
  double edge_angle(int k) const { return (2 * k - n()) * half_spacing_; }
  double angle(int k, double offset = 0.0) const { return (2 * k + 1 - n()) * half_spacing_ + offset * spacing_; }
  PanelPoint centre(PanelCell c) const { return {c.panel, angle(c.i), angle(c.j)}; }

  /// Mean of sqrt_g over the cells of the extended panel, shape (n + 2 kHalo, n + 2 kHalo), unit sphere, host copy.
  double mean_sqrt_g(int j, int i) const { return mean_sqrt_g_host_(j + kHalo, i + kHalo); }
  /// Area of a cell in m2.
  double cell_area(int j, int i) const { return mean_sqrt_g(j, i) * spacing_ * spacing_ * radius_ * radius_; }
  /// Areas of all cells, shape (6, n, n), m2.
  std::vector<double> cell_areas() const;

  const View<double**>& mean_sqrt_g_table() const { return mean_sqrt_g_; }
  const FaceMetric& alpha_faces() const { return alpha_faces_; }
  const FaceMetric& beta_faces() const { return beta_faces_; }
  /// At the four interior Gauss points of a cell, point = 2 * (beta point) + (alpha point), shape (4, n, n): mean
  /// sqrt_g as the state is reconstructed there, and its derivatives (per radian) along alpha and beta.
  const View<double***>& volume_value() const { return volume_value_; }
  const View<double***>& volume_alpha() const { return volume_alpha_; }
  const View<double***>& volume_beta() const { return volume_beta_; }
  /// tan of the Gauss-point angles, shape (2, n).
  const View<double**>& gauss_tangent() const { return gauss_tangent_; }

 private:
  void tabulate_mean_sqrt_g();
  void tabulate_faces();
  void tabulate_volume_points();

  Tiling tiling_;
  int rank_;
  double radius_, spacing_, half_spacing_;
  View<double**> mean_sqrt_g_;
  HostView<double**> mean_sqrt_g_host_;
  FaceMetric alpha_faces_, beta_faces_;
  View<double***> volume_value_, volume_alpha_, volume_beta_;
  View<double**> gauss_tangent_;
};

}  // namespace tramontane
