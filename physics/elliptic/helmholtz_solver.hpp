/// The Helmholtz problem of the semi-implicit integrator, solved by PETSc on the solver's communicator.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "physics/shallow_water.hpp"

namespace tramontane {

/// How the Helmholtz problem is solved: keys physics.helmholtz.* of the deck.
struct HelmholtzOptions {
  /// chebyshev: iterations without inner products, their number fixed by the bound on the spectrum, hence the same bits
  /// on any number of ranks. fgmres, gmres, bcgs: Krylov methods, whose inner products are summed in rank order.
  std::string solver = "chebyshev";
  /// none, or one of PETSc's (gamg, hypre, bjacobi, jacobi ...) on an assembled second-order matrix. Only none goes
  /// with chebyshev, whose bounds are those of the operator itself.
  std::string preconditioner = "none";
  double tolerance = 1e-3;    ///< reduction of the residual of the first guess
  int iterations = 200;       ///< most that are made
  std::string petsc_options;  ///< for instance "-ksp_monitor -pc_gamg_threshold 0.02"; they win over the above
};

/// Solves (1 - s^2 L_E L_M) x = b for x = E, where the caller applies the operator: matrix-free.
///
/// The preconditioners work on an assembled matrix of second order with differences over two cells, so that its
/// symbol, like the operator's, vanishes at waves of two cells: a compact one there is larger by the square of the
/// Courant number, and the iterations grow with it.
///
/// Needs a PetscSession on every rank of the solver's communicator. All methods are collective.
class HelmholtzSolver {
 public:
  /// Writes A x to y; interior cells of variable 0.
  using Operator = std::function<void(const State& y, const State& x)>;

  /// Throws InputError for a solver or preconditioner that PETSc does not have.
  HelmholtzSolver(const ShallowWater& solver, HelmholtzOptions options);
  ~HelmholtzSolver();

  /// Improves the first guess in variable 0 of x (interior cells) to the solution for variable 0 of b.
  /// @param s seconds: the implicit scheme's coefficient times the time step
  /// @param largest_square bound on the squares of the frequencies of L, s-2: the spectrum lies in
  ///        [1, 1 + s^2 largest_square]
  /// @throws RunError with the residual when the iteration does not converge
  void solve(const State& x, const State& b, double s, double largest_square, const Operator& apply);

  /// Iterations of the last solve, and of all so far.
  int last_iterations() const;
  long total_iterations() const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace tramontane
