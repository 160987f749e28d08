/// Unsteady solid-body rotation over orography: example 3 of Läuter, Handorf and Dethloff 2005, "Unsteady analytical
/// solutions of the spherical shallow water equations", J. Comput. Phys. 210.
#pragma once

#include "physics/initial_state.hpp"

namespace tramontane {

/// Seen from space the fluid turns steadily about an axis that is not the planet's; with the orography
/// (Omega . x)^2 / (2 g), which makes up for the centrifugal force, the height is that of a flow without rotation.
/// Seen from the planet the flow's axis, 45 degrees off the pole, goes round westward once a day. Exact at all times.
AnalyticCase lauter();

}  // namespace tramontane
