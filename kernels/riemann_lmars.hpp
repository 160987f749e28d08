/// Low-Mach approximate Riemann solver for the shallow-water equations.
///
/// Source: Chen, Andronova, van Leer, Penner et al. 2013, MWR 141, 2526-2544 (LMARS), with p = phi^2/2 and sound speed
/// c = sqrt(phi). The jump in velocity raises the interface height, the jump in height moves the interface velocity;
/// everything else is taken from the upwind side, so that shear is not damped.
#pragma once

#include "kernels/packs.hpp"

namespace tramontane {

/// What the solver finds at a face: velocity normal to the face (m/s) and total geopotential above the reference.
/// T: Real or Pack.
template <class T>
struct InterfaceState {
  T velocity;
  T eta;
};

/// @param depth mean of the two fluid geopotentials phi = g h (m2 s-2), positive, and one over it
/// @param eta,eta_jump total geopotential minus the reference (m2 s-2), mean of both sides and left minus right; jumps in
///        eta equal jumps in phi because both sides share one orography at the face
/// @param velocity,velocity_jump the same of the normal velocity (m s-1)
/// @param dissipation factor on both jumps; 1 is the scheme, less serves integrators that treat gravity waves
///        implicitly
template <class T>
KOKKOS_FORCEINLINE_FUNCTION InterfaceState<T> riemann_lmars(const T& depth, const T& inverse_depth, const T& eta,
                                                            const T& eta_jump, const T& velocity,
                                                            const T& velocity_jump, Real dissipation) {
  const T half_speed = (Real(0.5) * dissipation) * square_root(depth);
  return {multiply_add(half_speed * inverse_depth, eta_jump, velocity), multiply_add(half_speed, velocity_jump, eta)};
}

}  // namespace tramontane
