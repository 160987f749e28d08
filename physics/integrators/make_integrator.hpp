/// Makes time integrators by name.
#pragma once

#include <memory>
#include <string>

#include "physics/elliptic/helmholtz_solver.hpp"
#include "physics/integrators/time_integrator.hpp"

namespace tramontane {

/// Settings that some integrators take.
struct IntegratorOptions {
  HelmholtzOptions helmholtz;  ///< of semi_implicit
};

/// An integrator of integrator_table(), with its work arrays, for this solver. Throws InputError for an unknown name.
/// Collective over the solver's communicator.
std::unique_ptr<TimeIntegrator> make_integrator(const std::string& name, const ShallowWater& solver,
                                                const IntegratorOptions& options = {});

}  // namespace tramontane
