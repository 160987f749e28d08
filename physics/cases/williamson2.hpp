/// Steady zonal geostrophic flow: test case 2 of Williamson, Drake, Hack, Jakob and Swarztrauber 1992, "A standard test
/// set for numerical approximations to the shallow water equations in spherical geometry", J. Comput. Phys. 102.
#pragma once

#include "physics/initial_state.hpp"

namespace tramontane {

/// Solid-body rotation once in twelve days in balance with the height (eqs. 90-95), its axis and the planet's tilted by
/// `alpha` (radians) against the grid's pole. Exact and steady.
AnalyticCase williamson2(double alpha);

}  // namespace tramontane
