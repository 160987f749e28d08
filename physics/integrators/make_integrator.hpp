/// Makes time integrators by name.
#pragma once

#include <memory>
#include <string>

#include "physics/integrators/time_integrator.hpp"

namespace tramontane {

/// An integrator of integrator_table(), with its work arrays, for this solver. Throws InputError for an unknown name.
std::unique_ptr<TimeIntegrator> make_integrator(const std::string& name, const ShallowWater& solver);

}  // namespace tramontane
