/// Poisson and Helmholtz problems on the whole cubed sphere, solved by PETSc.
#pragma once

#include <memory>
#include <vector>

#include "physics/cubed_sphere.hpp"

namespace tramontane {

/// The operator A = c0 + c1 laplacian on point values at the cell centres, fields of shape (6, n, n), as a PETSc AIJ
/// matrix on one rank, and its inverse by a Krylov method.
///
/// The panel angles are harmonic functions, so the Laplace-Beltrami operator has no first derivatives in them:
///   a^2 laplacian f = G^aa f_aa + 2 G^ab f_ab + G^bb f_bb   (G^ij: contravariant metric of the unit sphere).
/// Differences over five points make it fourth-order accurate, edges and corners included (GhostInterpolation).
///
/// With c0 = 0 the constants are A's null space. The discrete right-hand side need not lie in A's range, which is known
/// only to truncation error, so what is solved is P A f = P b with P the removal of the area-weighted mean; the mean of
/// the solution is then set as asked.
///
/// Needs a PetscSession on this rank for as long as it lives. PETSc options with the prefix `-tramontane_` override
/// the defaults (FGMRES preconditioned by algebraic multigrid, relative tolerance 1e-12).
class EllipticSolver {
 public:
  /// c0 without unit, c1 in m2, radius in m. Throws InputError when n < 8 or c1 = 0, RunError when PETSc fails.
  EllipticSolver(int n, double c0, double c1, double radius = kEarthRadius);
  ~EllipticSolver();
  EllipticSolver(EllipticSolver&&) noexcept;
  EllipticSolver& operator=(EllipticSolver&&) noexcept;

  /// A f.
  std::vector<double> apply(const std::vector<double>& f) const;

  /// f with A f = b; with c0 = 0 the area mean of f is `mean` and that of b is ignored. Throws RunError with PETSc's
  /// reason when the iteration does not converge, and when the true residual |b - A f| exceeds 1e-12 |b| plus the
  /// round-off of forming it.
  std::vector<double> solve(const std::vector<double>& b, double mean = 0) const;

  /// Iterations and relative residual of the last solve.
  int last_iterations() const;
  double last_residual() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Smooths a field by diffusion over `length` metres: `passes` backward-Euler steps, so that a spherical harmonic of
/// degree l is multiplied by (1 + l (l + 1) (length / a)^2 / passes)^-passes, near exp(-l (l + 1) (length / a)^2). The
/// mean is kept. Diffusion on the sphere knows no panels, so it leaves no print of them. length = 0 changes nothing.
std::vector<double> diffuse(const std::vector<double>& field, int n, double length, int passes = 4);

}  // namespace tramontane
