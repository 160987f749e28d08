/// Low-Mach approximate Riemann solver for the shallow-water equations.
///
/// Source: Chen, Andronova, van Leer, Penner et al. 2013, MWR 141, 2526-2544 (LMARS), with p = phi^2/2 and sound speed
/// c = sqrt(phi). The jump in velocity raises the interface height, the jump in height moves the interface velocity;
/// everything else is taken from the upwind side, so that shear is not damped.
#pragma once

#include <Kokkos_Core.hpp>
#include <cmath>

namespace tramontane {

/// What the solver finds at a face: velocity normal to the face (m/s) and total geopotential above the reference.
struct InterfaceState {
  double velocity;
  double eta;
};

/// @param depth_mean mean of the two fluid geopotentials phi = g h (m2 s-2), positive
/// @param eta_left,eta_right total geopotential minus the reference (m2 s-2); jumps in eta equal jumps in phi because
///        both sides share one orography at the face
/// @param velocity_left,velocity_right normal velocities (m s-1)
/// @param dissipation factor on both jump terms: 1 is LMARS, 0 the mean of both sides
KOKKOS_INLINE_FUNCTION InterfaceState riemann_lmars(double depth_mean, double eta_left, double eta_right,
                                                    double velocity_left, double velocity_right,
                                                    double dissipation = 1.0) {
  const double c = std::sqrt(depth_mean);
  return {0.5 * (velocity_left + velocity_right) + 0.5 * dissipation * (eta_left - eta_right) / c,
          0.5 * (eta_left + eta_right) + 0.5 * dissipation * c * (velocity_left - velocity_right)};
}

}  // namespace tramontane
