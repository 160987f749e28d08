/// The flux through one Gauss point of a face: Riemann problem and upwinding. Free of loops and layout.
#pragma once

#include "kernels/riemann_lmars.hpp"
#include "kernels/types.hpp"

namespace tramontane {

/// Metric of the face point and the orography there. n: direction across the face, t: along it.
struct FacePoint {
  Real inverse_left, inverse_right;  ///< one over mean sqrt_g, reconstructed as the left and the right state is
  Real mass_scale;                   ///< sqrt_g sqrt(G^nn)
  Real inverse_speed;                ///< 1 / sqrt(G^nn): from contravariant to physical normal velocity
  Real pressure_n, pressure_t;       ///< sqrt_g G^nn and sqrt_g G^nt
  Real bottom;                       ///< phi_s
};

/// Reconstructed sqrt_g-weighted state on one side of a face: E, momentum across and momentum along the face's axes.
struct FaceState {
  Real e, normal, tangential;
};

/// Fluxes of (E, normal, tangential) per panel angle.
struct FaceFlux {
  Real e, normal, tangential;
};

KOKKOS_FORCEINLINE_FUNCTION FaceFlux face_flux(const FaceState& l, const FaceState& r, const FacePoint& f, Real reference,
                                          Real dissipation) {
  const Real eta_l = l.e * f.inverse_left, eta_r = r.e * f.inverse_right;
  const Real surface = reference - f.bottom;
  const Real depth_l = eta_l + surface, depth_r = eta_r + surface;
  const Real depth = Real(0.5) * (depth_l + depth_r);
  // Division is what limits this kernel: one serves all three reciprocals.
  const Real both = depth_l * depth_r;
  const Real inverse = Real(1) / (both * depth);
  const Real inverse_both = inverse * depth;
  const Real scale_l = f.inverse_left * (inverse_both * depth_r), scale_r = f.inverse_right * (inverse_both * depth_l);
  const Real normal_l = l.normal * scale_l, normal_r = r.normal * scale_r;
  const InterfaceState at = riemann_lmars(depth, inverse * both, eta_l, eta_r, normal_l * f.inverse_speed,
                                          normal_r * f.inverse_speed, dissipation);
  const bool from_left = at.velocity >= Real(0);
  const Real mass = f.mass_scale * at.velocity * (from_left ? depth_l : depth_r);
  const Real pressure = at.eta * multiply_add(Real(0.5), at.eta, reference);
  const Real tangential = from_left ? l.tangential * scale_l : r.tangential * scale_r;
  return {mass, multiply_add(mass, from_left ? normal_l : normal_r, f.pressure_n * pressure),
          multiply_add(mass, tangential, f.pressure_t * pressure)};
}

}  // namespace tramontane
