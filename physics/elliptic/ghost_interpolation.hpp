/// Values of a scalar beyond a panel's edges, interpolated from the panels that own those points.
#pragma once

#include <vector>

namespace tramontane {

/// One term of a linear combination of cell values: index into a global field (6, n, n), and weight.
struct Term {
  int cell;
  double weight;
};

/// Extends point values at the cell centres of the equiangular cubed sphere beyond each panel's edges, corners
/// included.
///
/// The extension of a panel has its own cell centres, at the panel's angles continued past +-pi/4. Each of them lies
/// on a great circle that is also a line of cell centres of the panel which owns the point (in the corners too: the
/// owner is the panel with the largest component of the point, and the line is the continued one of that side). So a
/// ghost value is a one-dimensional Lagrange interpolation over 6 points in the owner's angle, 6th-order accurate.
/// Where a corner point lies on the edge between two owners the two interpolations are averaged, which keeps the
/// symmetry. Source: the "reference line" of Chen 2021 and the "duo-grid" of FV3; see docs/design/real-input.md.
class GhostInterpolation {
 public:
  /// n cells per panel edge, `depth` layers of ghost cells. Throws InputError when n < 8 or depth is not in 1..3.
  GhostInterpolation(int n, int depth);

  int n() const { return n_; }
  int depth() const { return depth_; }
  /// Width of a padded panel, n + 2 depth.
  int width() const { return n_ + 2 * depth_; }

  /// The value at (panel, j, i), with j and i from -depth to n - 1 + depth, as a combination of cell values (one term
  /// of weight 1 inside the panel). The weights add up to 1.
  std::vector<Term> terms(int panel, int j, int i) const;

  /// Field of shape (6, n, n) to padded field of shape (6, n + 2 depth, n + 2 depth).
  std::vector<double> pad(const std::vector<double>& field) const;

 private:
  int slot(int panel, int j, int i) const { return (panel * width() + j + depth_) * width() + i + depth_; }

  int n_, depth_;
  std::vector<int> offsets_;  // per slot of the padded field, into terms_
  std::vector<Term> terms_;
};

}  // namespace tramontane
