/// Smooth interpolation of scalars from a longitude-latitude grid to the cell centres of the cubed sphere.
#pragma once

#include <vector>

#include "physics/remap/latlon_grid.hpp"

namespace tramontane {

/// Fourth-order interpolation: cubic Lagrange polynomials over 4 x 4 values around each cell centre. The grid is
/// continued in longitude by periodicity and across a pole by the meridian on the other side, so the poles are
/// points like any other - for scalars: vectors come as Cartesian components.
///
/// field (nlat, nlon) on an evenly spaced grid that covers the sphere, with or without rows on the poles; result
/// (6, n, n), point values at the centres. Throws InputError when the spacing is not even or nlon is odd.
std::vector<double> interpolate_to_centres(const LatLonGrid& grid, const std::vector<double>& field, int n);

}  // namespace tramontane
