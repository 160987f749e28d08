/// Running an analytic case and measuring it, shared by the tests of this folder.
#pragma once

#include <cmath>
#include <cstdio>
#include <vector>

#include "physics/diagnostics.hpp"
#include "physics/integrator.hpp"

namespace tramontane {

/// A solver on one rank, set to a case's initial state.
struct CaseRun {
  AnalyticCase start;
  std::shared_ptr<const Grid> grid;
  ShallowWater solver;
  State state;
  SspRk3 integrator;

  CaseRun(const AnalyticCase& c, int n)
      : start(c),
        grid(std::make_shared<const Grid>(Tiling(n, 1, 1), 0)),
        solver(grid, MPI_COMM_SELF, cell_means(*grid, c.orography), options(c)),
        state(solver.make_state("state")),
        integrator(solver) {
    set_state(solver, start, state);
  }

  /// Advances in equal steps of at most the Courant number.
  void advance(double seconds, double courant) {
    const int steps = static_cast<int>(std::ceil(seconds * solver.largest_rate(state) / courant));
    for (int k = 0; k < steps; ++k) integrator.step(solver, state, seconds / steps);
  }

  CellFields fields() const { return cell_fields(solver, state); }

  /// Errors of the height against the exact cell means at a time, s.
  ErrorNorms depth_errors(double time) const {
    return error_norms(*grid, MPI_COMM_SELF, fields().depth, exact_fields(solver, start, time).depth);
  }

 private:
  static ShallowWaterOptions options(const AnalyticCase& c) {
    ShallowWaterOptions out;
    out.reference = kGravity * c.reference_height;
    out.rotation = c.rotation;
    return out;
  }
};

/// Order of convergence between two grids of n and m cells.
inline double slope(double coarse, double fine, int n, int m) {
  return std::log(coarse / fine) / std::log(static_cast<double>(m) / n);
}

/// A line of a table of errors.
inline void print_errors(int n, const ErrorNorms& e) {
  std::printf(" C%-3d  %9.2e %9.2e %9.2e\n", n, e.l1, e.l2, e.linf);
}

}  // namespace tramontane
