/// What the guard of a surrogate looks at in a cell: its values and how they change towards its four neighbours.
#pragma once

#include "kernels/types.hpp"

namespace tramontane {

/// Channels of a guarded cell: height of the surface, Cartesian velocity.
inline constexpr int kGuardChannels = 4;

/// Features of a cell, in this order: height; eastward and northward velocity; eastward and northward slope of the
/// surface; vorticity; divergence; mean of the four neighbours less the cell's own value, of height and of eastward and
/// northward velocity. Slopes are on the unit sphere. Together they hold the flow, its balance with the height, and
/// noise on the scale of the grid, in directions that mean the same on every panel.
inline constexpr int kGuardFeatures = 10;

/// Geometry of a cell in single precision, each a vector (x, y, z): the duals a and b of the chords between its
/// neighbours along the panel's two indices, so that the gradient of f is a (f_east - f_west) + b (f_north - f_south);
/// r x a and r x b, which give the curl; east and north.
inline constexpr int kGuardGeometry = 18;

template <class Number>
KOKKOS_INLINE_FUNCTION Number guard_dot(const float* axis, const Number* v) {
  return Number(axis[0]) * v[0] + Number(axis[1]) * v[1] + Number(axis[2]) * v[2];
}

/// @param centre,west,east,south,north (kGuardChannels) of the cell and its neighbours by the panel's indices
/// @param geometry (kGuardGeometry); @param features (kGuardFeatures)
template <class Number>
KOKKOS_INLINE_FUNCTION void guard_features(const float* centre, const float* west, const float* east,
                                           const float* south, const float* north, const float* geometry,
                                           Number* features) {
  Number along[kGuardChannels], across[kGuardChannels], rough[kGuardChannels], value[kGuardChannels];
  for (int c = 0; c < kGuardChannels; ++c) {
    const Number w = west[c], e = east[c], s = south[c], n = north[c];
    value[c] = centre[c];
    along[c] = e - w;
    across[c] = n - s;
    rough[c] = Number(0.25) * ((e - value[c]) + (w - value[c]) + (n - value[c]) + (s - value[c]));
  }
  const float *a = geometry, *b = geometry + 3, *curl_a = geometry + 6, *curl_b = geometry + 9,
              *to_east = geometry + 12, *to_north = geometry + 15;
  Number slope[3];
  for (int c = 0; c < 3; ++c) slope[c] = Number(a[c]) * along[0] + Number(b[c]) * across[0];
  features[0] = value[0];
  features[1] = guard_dot(to_east, value + 1);
  features[2] = guard_dot(to_north, value + 1);
  features[3] = guard_dot(to_east, slope);
  features[4] = guard_dot(to_north, slope);
  features[5] = guard_dot(curl_a, along + 1) + guard_dot(curl_b, across + 1);
  features[6] = guard_dot(a, along + 1) + guard_dot(b, across + 1);
  features[7] = rough[0];
  features[8] = guard_dot(to_east, rough + 1);
  features[9] = guard_dot(to_north, rough + 1);
}

}  // namespace tramontane
