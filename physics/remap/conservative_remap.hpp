/// First-order conservative remapping between a longitude-latitude grid and the cells of the cubed sphere.
#pragma once

#include <vector>

#include "physics/remap/latlon_grid.hpp"

namespace tramontane {

/// The areas in which cells of the two grids overlap, exact to round-off, kept as a sparse matrix and used in both
/// directions: an area-weighted mean over what a target cell covers. Constants stay constant, and the area integral is
/// kept to round-off.
///
/// The edges of the cubed sphere's cells are arcs of great circles. Every arc is cut where it crosses a meridian or a
/// parallel of the grid, and each piece adds its part of the boundary integral of sin(latitude) d(longitude), for which
/// there is a closed form (see docs/design/real-input.md). No polygon is ever clipped, and the poles need no special
/// grid: a cell around or at a pole is closed by a piece along it.
class ConservativeRemap {
 public:
  /// Throws InputError when n < 1.
  ConservativeRemap(LatLonGrid grid, int n);

  const LatLonGrid& grid() const { return grid_; }
  int n() const { return n_; }

  /// Field (nlat, nlon) to cell means on the cubed sphere, shape (6, n, n). Throws InputError on a wrong size.
  std::vector<double> to_cubed_sphere(const std::vector<double>& field) const;
  /// Cell means on the cubed sphere, shape (6, n, n), to cell means on the grid, shape (nlat, nlon). Throws InputError
  /// on a wrong size.
  std::vector<double> to_latlon(const std::vector<double>& field) const;

  /// Number of overlapping pairs of cells.
  std::size_t overlap_count() const { return areas_.size(); }

 private:
  LatLonGrid grid_;
  int n_;
  std::vector<int> offsets_;   // per cubed-sphere cell, into the next two
  std::vector<int> columns_;   // grid cell j * nlon + i
  std::vector<double> areas_;  // steradian
};

/// What the program's output uses: cell means on the cubed sphere to cell means on a regular grid of `degrees`.
class LatLonRemap {
 public:
  /// Throws InputError unless 180 is a whole number of `degrees`.
  LatLonRemap(int n, double degrees) : remap_(LatLonGrid::regular(degrees), n), areas_(remap_.grid().areas()) {}

  int nlat() const { return remap_.grid().nlat(); }
  int nlon() const { return remap_.grid().nlon(); }
  /// Centres and bounds in degrees, ascending.
  const LatLonGrid& grid() const { return remap_.grid(); }
  /// Solid angles of the output cells, shape (nlat, nlon).
  const std::vector<double>& areas() const { return areas_; }

  /// Scalar field (6, n, n) to (nlat, nlon). Vectors: apply it to the Cartesian components, then project on
  /// east_vector and north_vector at the output centres. Conserves the area integral and keeps constants to round-off.
  std::vector<double> apply(const std::vector<double>& field) const { return remap_.to_latlon(field); }

 private:
  ConservativeRemap remap_;
  std::vector<double> areas_;
};

}  // namespace tramontane
