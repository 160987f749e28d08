/// Advection of a cosine bell: test case 1 of Williamson et al. 1992, J. Comput. Phys. 102, with the bell as a tracer.
#pragma once

#include "physics/initial_state.hpp"

namespace tramontane {

/// The flow of case 2, whose wind is the solid-body rotation that case 1 prescribes, and a tracer in it: mixing ratio
/// (1 + cos(pi r / R)) / 2 within r < R = 1/3 (on the unit sphere) of a centre that starts at 270 E on the planet's
/// equator (eqs. 78-79, with height 1 in place of 1000 m). So the transport operator of a run is tested in a flow that
/// conserves mass. Exact: the bell's centre goes round the axis once in twelve days.
/// @param alpha tilt of the axis, radians; at 45 degrees the bell runs along panel edges and over cube corners
AnalyticCase williamson1(double alpha);

}  // namespace tramontane
