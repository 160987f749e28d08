/// Classical four-stage, fourth-order Runge-Kutta scheme.
#pragma once

#include "physics/integrators/time_integrator.hpp"

namespace tramontane {

/// Source: Kutta 1901, Z. Math. Phys. 46, 435-453. Written so that three states suffice:
///   u1 = u0 + dt/2 F(u0), u2 = u0 + dt/2 F(u1), u3 = u0 + dt F(u2), u = (2 s + u3)/3 + dt/6 F(u3),
/// with s = -u0/2 + u1/2 + u2, whose weights are exact in binary: thirds would take 1e-16 of a mean at every step.
class Rk4 : public TimeIntegrator {
 public:
  explicit Rk4(const ShallowWater& solver)
      : begin_(solver.make_state("state at the step's begin")), sum_(solver.make_state("sum of the stages")) {}

  void step(ShallowWater& solver, const State& state, double dt) override {
    Kokkos::deep_copy(begin_, state);
    solver.stage(state, 1.0, begin_, 0.0, state, dt / 2);
    combine(sum_, -0.5, begin_, 0.5, state);
    solver.stage(state, 1.0, begin_, 0.0, state, dt / 2);
    combine(sum_, 1.0, sum_, 1.0, state);
    solver.stage(state, 1.0, begin_, 0.0, state, dt);
    solver.stage(state, 2.0 / 3.0, sum_, 1.0 / 3.0, state, dt / 6);
  }
  const IntegratorTraits& traits() const override { return integrator_traits("rk4"); }

 private:
  State begin_, sum_;
};

}  // namespace tramontane
