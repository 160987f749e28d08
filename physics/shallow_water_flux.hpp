/// The flux through one Gauss point of a face: Riemann problem and upwinding. Free of loops and layout.
#pragma once

#include "kernels/riemann_lmars.hpp"
#include "kernels/types.hpp"

namespace tramontane {

/// Metric of the face point and the orography there. n: direction across the face, t: along it. T: Real or Pack.
template <class T>
struct FacePoint {
  T inverse_left, inverse_right;  ///< one over mean sqrt_g, reconstructed as the left and the right state is
  T mass_scale;                   ///< sqrt_g sqrt(G^nn)
  T inverse_speed;                ///< 1 / sqrt(G^nn): from contravariant to physical normal velocity
  T pressure_n, pressure_t;       ///< sqrt_g G^nn and sqrt_g G^nt
  T bottom;                       ///< phi_s
};

/// Reconstructed sqrt_g-weighted state on one side of a face: E, momentum across and momentum along the face's axes.
template <class T>
struct FaceState {
  T e, normal, tangential;
};

/// Fluxes of (E, normal, tangential) per panel angle.
template <class T>
struct FaceFlux {
  T e, normal, tangential;
};

template <class T>
KOKKOS_FORCEINLINE_FUNCTION FaceFlux<T> face_flux(const FaceState<T>& l, const FaceState<T>& r, const FacePoint<T>& f,
                                                  Real reference, Real dissipation) {
  const T eta_l = l.e * f.inverse_left, eta_r = r.e * f.inverse_right;
  const T surface = reference - f.bottom;
  const T depth_l = eta_l + surface, depth_r = eta_r + surface;
  const T depth = Real(0.5) * (depth_l + depth_r);
  // One division serves all three reciprocals.
  const T both = depth_l * depth_r;
  const T inverse = Real(1) / (both * depth);
  const T inverse_both = inverse * depth;
  const T scale_l = f.inverse_left * (inverse_both * depth_r), scale_r = f.inverse_right * (inverse_both * depth_l);
  const T normal_l = l.normal * scale_l, normal_r = r.normal * scale_r;
  const InterfaceState<T> at = riemann_lmars(depth, inverse * both, Real(0.5) * (eta_l + eta_r), eta_l - eta_r,
                                             (Real(0.5) * f.inverse_speed) * (normal_l + normal_r),
                                             f.inverse_speed * (normal_l - normal_r), dissipation);
  const auto from_left = at.velocity >= Real(0);
  const T mass = f.mass_scale * at.velocity * (from_left ? depth_l : depth_r);
  const T pressure = at.eta * multiply_add(Real(0.5), at.eta, reference);
  const T tangential = (from_left ? l.tangential : r.tangential) * (from_left ? scale_l : scale_r);
  return {mass, multiply_add(mass, from_left ? normal_l : normal_r, f.pressure_n * pressure),
          multiply_add(mass, tangential, f.pressure_t * pressure)};
}

}  // namespace tramontane
