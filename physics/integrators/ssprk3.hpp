/// Three-stage, third-order strong-stability-preserving Runge-Kutta scheme.
#pragma once

#include "physics/integrators/time_integrator.hpp"

namespace tramontane {

/// Source: Shu and Osher 1988, J. Comput. Phys. 77, 439-471, eq. 2.18.
class SspRk3 : public TimeIntegrator {
 public:
  explicit SspRk3(const ShallowWater& solver)
      : first_(solver.make_state("first stage")), second_(solver.make_state("second stage")) {}

  /// No stage overwrites what it reads, which saves a copy of the state.
  void step(ShallowWater& solver, const State& state, double dt) override {
    solver.stage(first_, 0.0, state, 1.0, state, dt);
    solver.stage(second_, 3.0 / 4.0, state, 1.0 / 4.0, first_, dt / 4.0);
    solver.stage(state, 1.0 / 3.0, state, 2.0 / 3.0, second_, dt * 2.0 / 3.0);
  }
  const IntegratorTraits& traits() const override { return integrator_traits("ssprk3"); }

 private:
  State first_, second_;
};

}  // namespace tramontane
