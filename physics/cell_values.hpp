/// Depth and velocity of a cell from the means of its prognostic variables: one formula for host and device.
#pragma once

#include "physics/cubed_sphere.hpp"

namespace tramontane {

/// What the formula needs to know of a cell.
struct CellPlace {
  double mean_sqrt_g;  ///< mean over the panel angles, unit sphere
  double orography;    ///< m
  Basis basis;         ///< at the cell's angular centre
};

/// Depth in m and Cartesian velocity in m s-1, that of the mean momentum.
struct CellValues {
  double depth;
  Vector3 velocity;
};

/// @param e, a, b means of E, M^alpha and M^beta (physics/shallow_water.hpp)
/// @param gravity m s-2; reference: geopotential, m2 s-2
KOKKOS_INLINE_FUNCTION CellValues cell_values(double e, double a, double b, const CellPlace& cell, double gravity,
                                              double reference) {
  const double phi = e / cell.mean_sqrt_g - (gravity * cell.orography - reference);
  const double scale = 1.0 / (cell.mean_sqrt_g * phi);
  return {phi / gravity, (a * scale) * cell.basis.alpha + (b * scale) * cell.basis.beta};
}

}  // namespace tramontane
