/// Six-stage, third-order Runge-Kutta scheme whose stability region is fitted to this solver's spectrum.
#pragma once

#include "physics/integrators/time_integrator.hpp"

namespace tramontane {

/// The form is that of the five-stage scheme of Kinnmark and Gray 1984 (Math. Comput. Simulat. 26) as Guerra and
/// Ullrich 2016 (Geosci. Model Dev. 9) give it, with one more stage:
///   u_k = u0 + c_k dt F(u_{k-1}), k = 1..5,   u = u0 + dt (F(u0)/4 + 3 F(u5)/4),   c_4 = 1/3, c_5 = 2/3.
/// It is of third order for nonlinear equations whatever c_1, c_2, c_3; these set the stability polynomial
///   1 + z + z^2/2 + z^3/6 (1 + c_3 z (1 + c_2 z (1 + c_1 z))).
/// They were chosen to maximise the stable step over the spectrum of the linearised fifth-order upwind operator with
/// LMARS fluxes (method: Ketcheson and Ahmadia 2012, Comm. App. Math. Comp. Sci. 7): docs/design/time-integration.md.
class Rk63 : public TimeIntegrator {
 public:
  explicit Rk63(const ShallowWater& solver)
      : begin_(solver.make_state("state at the step's begin")), first_(solver.make_state("weighted first stage")) {}

  void step(ShallowWater& solver, const State& state, double dt) override {
    constexpr double c[] = {0.10143363, 0.14185463, 0.22334464, 1.0 / 3.0, 2.0 / 3.0};
    Kokkos::deep_copy(begin_, state);
    solver.stage(state, 1.0, begin_, 0.0, state, c[0] * dt);
    // u0 + dt/4 F(u0), from the first stage.
    combine(first_, 1.0 - 0.25 / c[0], begin_, 0.25 / c[0], state);
    for (int k = 1; k < 5; ++k) solver.stage(state, 1.0, begin_, 0.0, state, c[k] * dt);
    solver.stage(state, 1.0, first_, 0.0, state, 0.75 * dt);
  }
  const IntegratorTraits& traits() const override { return integrator_traits("rk63"); }

 private:
  State begin_, first_;
};

}  // namespace tramontane
