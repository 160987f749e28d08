/// The barotropically unstable jet of Galewsky, Scott and Polvani 2004, "An initial-value problem for testing numerical
/// models of the global shallow-water equations", Tellus 56A.
#pragma once

#include "physics/initial_state.hpp"

namespace tramontane {

/// Eastward wind of the jet at a latitude (radians), m/s (their eq. 2): 80 m/s at 45 N, zero outside (pi/7, 5 pi/14).
double galewsky_wind(double latitude);

/// Balanced height at a latitude (radians), m: their eq. 3 integrated from the south pole, with the offset that makes
/// the global mean 10 km. Correct to about 1e-13 of its range of 1087 m; some twenty operations a call.
double galewsky_height(double latitude);

/// The zonal jet in balance; with `perturbed` a bump of 120 m in the height at 0 E 45 N (their eq. 4), which rolls the
/// jet up into vortices within six days. Without it the state is exact and steady, and what grows is the grid's
/// imprint.
AnalyticCase galewsky(bool perturbed);

}  // namespace tramontane
