/// The cubed-sphere grid of one rank: its tiles and the metric tables that the solver reads.
#pragma once

#include "kernels/reconstruction.hpp"
#include "kernels/tiling.hpp"
#include "kernels/types.hpp"
#include "physics/cubed_sphere.hpp"

namespace tramontane {

/// Ghost cells on every side of a tile: a seventh-order face value needs four.
inline constexpr int kHalo = 4;

/// Metric at the Gauss points of the faces across one direction. Shape (Gauss point, row, face) for faces across
/// alpha: (2, n, n+1); (2, n+1, n) for faces across beta; shifts without the Gauss point. n: normal direction, t: the
/// other one. What else a face needs follows from 1/delta and the tangents of the angles:
/// sqrt_g G^nn = (1 + T^2)/delta and sqrt_g G^nt = N T/delta, N and T the tangents across and along.
struct FaceMetric {
  View<Real***> inverse_left, inverse_right;  ///< one over mean sqrt_g, reconstructed as the left and the right state
  View<Real***> inverse_delta;
  View<Real**> shift_n, shift_t;  ///< added to sqrt_g G^nn, sqrt_g G^nt: makes the face's sum the exact integral
};

/// At the four interior Gauss points of a cell, point = 2 * (beta point) + (alpha point), shape (4, n, n): one over mean
/// sqrt_g as the state is reconstructed there, its derivatives (per radian) over itself, and 1/delta.
struct VolumeMetric {
  View<Real***> inverse_value, slope_a, slope_b, inverse_delta;
};

/// Tables are those of one panel: the metric is the same on all six. "Mean" is over panel angles, not over area.
class Grid {
 public:
  /// @throws InputError when the panel is too small for the stencil or does not divide into tiles
  /// @param order order of the reconstruction that the metric tables follow: 3, 5 or 7
  Grid(const Tiling& tiling, int rank, double radius = kEarthRadius, int order = 5);

  const Tiling& tiling() const { return tiling_; }
  int rank() const { return rank_; }
  int n() const { return tiling_.n; }
  int tile_cells() const { return tiling_.tile_cells(); }
  int first_tile() const { return tiling_.first_tile(rank_); }
  int tile_count() const { return tiling_.owned_count(rank_); }
  double radius() const { return radius_; }
  double spacing() const { return spacing_; }
  int order() const { return order_; }

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

  const View<Real**>& mean_sqrt_g_table() const { return mean_sqrt_g_; }
  const FaceMetric& alpha_faces() const { return alpha_faces_; }
  const FaceMetric& beta_faces() const { return beta_faces_; }
  const VolumeMetric& volume() const { return volume_; }
  /// tan of the Gauss-point angles, shape (2, n), and of the cell edges, shape (n + 1).
  const View<Real**>& gauss_tangent() const { return gauss_tangent_; }
  const View<Real*>& edge_tangent() const { return edge_tangent_; }

 private:
  void tabulate_mean_sqrt_g();
  template <int Order>
  void tabulate_faces();
  template <int Order>
  void tabulate_volume_points();

  Tiling tiling_;
  int rank_;
  double radius_, spacing_, half_spacing_;
  int order_;
  View<Real**> mean_sqrt_g_;
  HostView<double**> mean_sqrt_g_host_;
  FaceMetric alpha_faces_, beta_faces_;
  VolumeMetric volume_;
  View<Real**> gauss_tangent_;
  View<Real*> edge_tangent_;
};

}  // namespace tramontane
