#include "physics/integrators/semi_implicit.hpp"

#include "physics/integrators/imex_tableau.hpp"

namespace tramontane {

namespace {

using Tableau = Ark324;

/// Lowers the solver's dissipation for the length of a step, however it ends.
class ReducedDissipation {
 public:
  explicit ReducedDissipation(ShallowWater& solver) : solver_(solver), before_(solver.dissipation()) {
    solver.set_dissipation(kImplicitDissipation);
  }
  ~ReducedDissipation() { solver_.set_dissipation(before_); }
  ReducedDissipation(const ReducedDissipation&) = delete;
  ReducedDissipation& operator=(const ReducedDissipation&) = delete;

 private:
  ShallowWater& solver_;
  double before_;
};

}  // namespace

SemiImplicit::SemiImplicit(const ShallowWater& solver, const HelmholtzOptions& options)
    : waves_(solver),
      helmholtz_(solver, options),
      stage_(solver.make_state("implicit stage")),
      rhs_(solver.make_state("explicit part of a stage")),
      work_(solver.make_state("work of the implicit stage")) {
  for (int k = 0; k < Tableau::stages; ++k) {
    tendency_.push_back(solver.make_state("tendency of a stage"));
    linear_.push_back(solver.make_state("linear tendency of a stage"));
  }
}

void SemiImplicit::solve_stage(ShallowWater& solver, const State& stage, double s) {
  // b = R_E + s L_E(R_M), in work_.
  solver.fill_ghosts(rhs_, false, true);
  waves_.divergence(work_, 1.0, rhs_, s, rhs_);
  const State momentum = linear_.back();  // not yet in use at this stage
  const auto apply = [&](const State& y, const State& x) {
    solver.fill_ghosts(x, true, false);
    waves_.pressure_force(momentum, 0.0, momentum, s, x);
    solver.fill_ghosts(momentum, false, true);
    waves_.divergence(y, 1.0, x, -s, momentum);
  };
  helmholtz_.solve(stage, work_, s, waves_.largest_square(), apply);
  // M = R_M + s L_M(E).
  Kokkos::deep_copy(work_, stage);
  Kokkos::deep_copy(stage, rhs_);
  copy_first_variable(stage, work_);
  solver.fill_ghosts(stage, true, false);
  waves_.pressure_force(stage, 1.0, rhs_, s, stage);
}

void SemiImplicit::step(ShallowWater& solver, const State& state, double dt) {
  const ReducedDissipation reduced(solver);
  waves_.freeze(solver, state);
  const int stages = Tableau::stages;
  const double s = Tableau::gamma * dt;

  solver.stage(tendency_[0], 0.0, state, 0.0, state, 1.0);
  Kokkos::deep_copy(linear_[0], 0.0);
  waves_.pressure_force(linear_[0], 0.0, linear_[0], 1.0, state);
  waves_.divergence(linear_[0], 0.0, linear_[0], 1.0, state);
  Kokkos::deep_copy(stage_, state);
  for (int i = 1; i < stages; ++i) {
    Kokkos::deep_copy(rhs_, state);
    for (int j = 0; j < i; ++j) {
      combine(rhs_, 1.0, rhs_, dt * Tableau::explicit_part[i][j], tendency_[j]);
      combine(rhs_, 1.0, rhs_, dt * (Tableau::implicit_part[i][j] - Tableau::explicit_part[i][j]), linear_[j]);
    }
    solve_stage(solver, stage_, s);
    combine(linear_[i], 1.0 / s, stage_, -1.0 / s, rhs_);
    solver.stage(tendency_[i], 0.0, stage_, 0.0, stage_, 1.0);
  }
  for (int i = 0; i < stages; ++i) combine(state, 1.0, state, dt * Tableau::b[i], tendency_[i]);
}

}  // namespace tramontane
