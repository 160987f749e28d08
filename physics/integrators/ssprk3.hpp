/// Three-stage, third-order strong-stability-preserving Runge-Kutta scheme.
#pragma once

#include "physics/integrators/time_integrator.hpp"

namespace tramontane {

/// Source: Shu and Osher 1988, J. Comput. Phys. 77, 439-471, eq. 2.18.
class SspRk3 : public TimeIntegrator {
 public:
  explicit SspRk3(const ShallowWater& solver) : begin_(solver.make_state("state at the step's begin")) {}

  void step(ShallowWater& solver, const State& state, double dt) override {
    Kokkos::deep_copy(begin_, state);
    solver.stage(state, 0.0, begin_, 1.0, state, dt);
    solver.stage(state, 3.0 / 4.0, begin_, 1.0 / 4.0, state, dt / 4.0);
    solver.stage(state, 1.0 / 3.0, begin_, 2.0 / 3.0, state, dt * 2.0 / 3.0);
  }
  const IntegratorTraits& traits() const override { return integrator_traits("ssprk3"); }

 private:
  State begin_;
};

}  // namespace tramontane
