#include "physics/integrators/make_integrator.hpp"

#include <fmt/format.h>

#include "kernels/errors.hpp"
#include "physics/integrators/rk4.hpp"
#include "physics/integrators/rk63.hpp"
#include "physics/integrators/semi_implicit.hpp"
#include "physics/integrators/ssprk3.hpp"

namespace tramontane {

const std::vector<IntegratorTraits>& integrator_table() {
  // Limits: docs/design/time-integration.md. Those of the explicit schemes hold on any grid, corners of the cube
  // included; that of the semi-implicit one is the smallest measured, rounded down. Real axis: where the polynomials
  // leave the unit disc, rounded down; for semi_implicit that of the explicit part, whatever the implicit part does. Its
  // linear waves are of sixth order: seventh-order reconstruction leaves a stiff remainder, unstable from 4.2 on.
  static const std::vector<IntegratorTraits> table = {
      {"ssprk3", 3, 3, {1.8, 1.6, 1.4}, 2.5, {0.8, 0.8, 0.8}, 2, 3, true},
      {"rk4", 4, 4, {1.9, 1.9, 1.9}, 2.75, {1.6, 1.6, 1.6}, 2, 4, true},
      {"rk63", 3, 6, {3.1, 3.5, 2.9}, 4.2, {2.7, 3.0, 2.6}, 2, 6, true},
      {"semi_implicit", 3, 4, {12.0, 12.0, 0.0}, 3.6, {8.4, 8.4, 8.4}, 15, 50, false},
  };
  return table;
}

const IntegratorTraits& integrator_traits(const std::string& name) {
  std::string known;
  for (const IntegratorTraits& traits : integrator_table()) {
    if (traits.name == name) return traits;
    known += (known.empty() ? "" : ", ") + traits.name;
  }
  throw InputError(fmt::format("there is no time integrator '{}': take one of {}", name, known));
}

std::vector<std::string> integrator_names() {
  std::vector<std::string> names;
  for (const IntegratorTraits& traits : integrator_table()) names.push_back(traits.name);
  return names;
}

std::unique_ptr<TimeIntegrator> make_integrator(const std::string& name, const ShallowWater& solver,
                                                const IntegratorOptions& options) {
  integrator_traits(name);
  if (name == "rk4") return std::make_unique<Rk4>(solver);
  if (name == "rk63") return std::make_unique<Rk63>(solver);
  if (name == "semi_implicit") return std::make_unique<SemiImplicit>(solver, options.helmholtz);
  return std::make_unique<SspRk3>(solver);
}

}  // namespace tramontane
