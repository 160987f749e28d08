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
    solver.stage(state, begin_, 0.0, 1.0, dt);
    solver.stage(state, begin_, 3.0 / 4.0, 1.0 / 4.0, dt);
    solver.stage(state, begin_, 1.0 / 3.0, 2.0 / 3.0, dt);
  }

 private:
  State begin_;
};

}  // namespace tramontane
