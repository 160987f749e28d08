/// The momentum source at one Gauss point of a cell: metric terms, rotation, orography. Free of loops and layout.
#pragma once

#include "kernels/packs.hpp"

namespace tramontane {

/// State at the point: sqrt_g-weighted momenta, surface and its derivatives per radian. T: Real or Pack.
template <class T>
struct VolumeState {
  T momentum_a, momentum_b;
  T eta_a, eta_b;
};

/// The point: Y = tan(beta), 1 + Y^2, the same all along a row; X = tan(alpha), 1 + X^2, X Y; 1/delta;
/// 2 Omega . (delta r); phi_s.
template <class T>
struct VolumePoint {
  Real y, yy;
  T x, xx, xy;
  T inverse_delta;
  T coriolis_delta;
  T bottom;
};

template <class T>
struct MomentumSource {
  T a, b;
};

/// @param inverse_mass one over sqrt_g phi at the point
template <class T>
KOKKOS_FORCEINLINE_FUNCTION MomentumSource<T> momentum_source(const VolumeState<T>& s, const VolumePoint<T>& p,
                                                              const T& inverse_mass, Real inverse_radius) {
  // delta^2 times the Christoffel symbols: a_aa = 2 X Y^2, a_ab = -Y (1 + Y^2), b_bb = 2 X^2 Y, b_ab = -X (1 + X^2).
  // They share the factors of -f (k x u), which has f u_beta / sqrt_g along alpha and -f u_alpha / sqrt_g along beta.
  const T across_a = multiply_add(p.yy, s.momentum_b, -(p.xy * s.momentum_a));
  const T across_b = multiply_add(p.xx, s.momentum_a, -(p.xy * s.momentum_b));
  const T inverse_delta2 = p.inverse_delta * p.inverse_delta;
  const T metric = Real(2) * inverse_delta2 * inverse_mass * inverse_radius;
  const T rotation = p.coriolis_delta * inverse_delta2;
  // phi_s grad(eta), with sqrt_g G^ij = (1 + Y^2, X Y; X Y, 1 + X^2) / delta.
  const T relief = p.bottom * p.inverse_delta * inverse_radius;
  const T slope_a = multiply_add(p.yy, s.eta_a, p.xy * s.eta_b);
  const T slope_b = multiply_add(p.xy, s.eta_a, p.xx * s.eta_b);
  return {multiply_add(across_a, multiply_add(metric * p.y, s.momentum_a, rotation), relief * slope_a),
          multiply_add(across_b, multiply_add(metric * p.x, s.momentum_b, -rotation), relief * slope_b)};
}

}  // namespace tramontane
