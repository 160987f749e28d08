/// Semi-implicit integrator: gravity waves implicit, everything else explicit.
#pragma once

#include "physics/elliptic/helmholtz_solver.hpp"
#include "physics/elliptic/petsc_session.hpp"
#include "physics/integrators/gravity_waves.hpp"
#include "physics/integrators/time_integrator.hpp"

namespace tramontane {

/// Factor on the jump terms of the Riemann solver, chosen by measured stability.
inline constexpr double kImplicitDissipation = 0.1;

/// An implicit-explicit Runge-Kutta scheme for dq/dt = F(q) = N(q) + L q, with L the linear gravity waves about the
/// depth at the step's begin (GravityWaves), N = F - L, and the coefficients of Ark324:
///   Q_i = q + dt sum_{j<i} (aE_ij N(Q_j) + aI_ij L Q_j) + dt gamma L Q_i,     q <- q + dt sum_i b_i F(Q_i).
/// Both parts have the same b, so the step adds fluxes of the conservative form and nothing else: mass is conserved to
/// round-off however loosely the implicit problems are solved. Each stage eliminates M and leaves a Helmholtz problem
/// for E (HelmholtzSolver).
///
/// F is taken with the factor kImplicitDissipation on the jump terms of the Riemann solver: in full they would be as
/// stiff as the waves themselves. docs/design/time-integration.md.
class SemiImplicit : public TimeIntegrator {
 public:
  SemiImplicit(const ShallowWater& solver, const HelmholtzOptions& options);

  /// Throws RunError when a Helmholtz problem does not converge.
  void step(ShallowWater& solver, const State& state, double dt) override;
  const IntegratorTraits& traits() const override { return integrator_traits("semi_implicit"); }

  const HelmholtzSolver& helmholtz() const { return helmholtz_; }

 private:
  /// Solves Q = R + s L Q. On entry R is in rhs_ and a first guess of E in `stage`; Q is left in `stage`.
  void solve_stage(ShallowWater& solver, const State& stage, double s);

  const PetscSession petsc_;
  GravityWaves waves_;
  HelmholtzSolver helmholtz_;
  State stage_, rhs_, work_;
  std::vector<State> tendency_, linear_;  ///< F(Q_j) and L Q_j
};

}  // namespace tramontane
