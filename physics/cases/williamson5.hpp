/// Zonal flow over an isolated mountain: test case 5 of Williamson et al. 1992, J. Comput. Phys. 102.
#pragma once

#include "physics/initial_state.hpp"

namespace tramontane {

/// The isolated cone, 2000 m high at 270 E 30 N, m (eq. 134).
double williamson5_mountain(Vector3 r);

/// A zonal flow of 20 m/s in balance with a surface at 5960 m on the equator, the cone put into it. No exact solution.
AnalyticCase williamson5();

}  // namespace tramontane
