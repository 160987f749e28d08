/// Time integrators of the shallow-water core: the interface, the factory, and the one that tests build by hand.
#pragma once

#include "physics/integrators/make_integrator.hpp"
#include "physics/integrators/ssprk3.hpp"
