/// The flux through one Gauss point of a face: reconstruction, Riemann problem, upwinding. Free of loops and layout.
#pragma once

#include "kernels/riemann_lmars.hpp"

namespace tramontane {

/// Metric of the face point (see FaceMetric) and the orography there.
struct FacePoint {
  double left, right, sqrt_g, speed, pressure_n, pressure_t, bottom;
};

/// Reconstructed sqrt_g-weighted state on one side of a face: E, momentum across and momentum along the face's axes.
struct FaceState {
  double e, normal, tangential;
};

/// Fluxes of (E, normal, tangential) per panel angle.
struct FaceFlux {
  double e, normal, tangential;
};

KOKKOS_INLINE_FUNCTION FaceFlux face_flux(const FaceState& l, const FaceState& r, const FacePoint& f,
                                          double reference, double dissipation) {
  const double eta_l = l.e / f.left, eta_r = r.e / f.right;
  const double depth_l = eta_l + reference - f.bottom, depth_r = eta_r + reference - f.bottom;
  const double scale_l = 1.0 / (f.left * depth_l), scale_r = 1.0 / (f.right * depth_r);
  const double normal_l = l.normal * scale_l, normal_r = r.normal * scale_r;
  // Physical normal velocity = u^n / sqrt(G^nn).
  const InterfaceState at =
      riemann_lmars(0.5 * (depth_l + depth_r), eta_l, eta_r, normal_l / f.speed, normal_r / f.speed,
                    dissipation);
  const bool from_left = at.velocity >= 0.0;
  const double depth = from_left ? depth_l : depth_r;
  const double mass = f.sqrt_g * f.speed * at.velocity * depth;
  const double pressure = 0.5 * at.eta * (at.eta + 2.0 * reference);
  const double tangential_l = l.tangential * scale_l, tangential_r = r.tangential * scale_r;
  return {mass, mass * (from_left ? normal_l : normal_r) + f.pressure_n * pressure,
          mass * (from_left ? tangential_l : tangential_r) + f.pressure_t * pressure};
}

}  // namespace tramontane
