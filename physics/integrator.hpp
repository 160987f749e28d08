/// Time integrators of the shallow-water core.
#pragma once

#include "physics/shallow_water.hpp"

namespace tramontane {

/// Three-stage, third-order strong-stability-preserving Runge-Kutta scheme (Shu and Osher 1988, J. Comput. Phys. 77).
class SspRk3 {
 public:
  explicit SspRk3(const ShallowWater& solver) : begin_(solver.make_state("state at the step's begin")) {}

  /// Advances `state` by dt seconds.
  void step(ShallowWater& solver, const State& state, double dt) {
    Kokkos::deep_copy(begin_, state);
    solver.stage(state, 0.0, begin_, 1.0, state, dt);
    solver.stage(state, 3.0 / 4.0, begin_, 1.0 / 4.0, state, dt / 4.0);
    solver.stage(state, 1.0 / 3.0, begin_, 2.0 / 3.0, state, dt * 2.0 / 3.0);
  }

 private:
  State begin_;
};

}  // namespace tramontane
