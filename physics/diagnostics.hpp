/// Global budgets and error norms, with the same bits on any number of ranks.
#pragma once

#include <mpi.h>

#include <cmath>
#include <vector>

#include "physics/initial_state.hpp"

namespace tramontane {

/// Sums over the sphere: each tile in row order on its owner, tiles by number. `per_tile` has shape (owned tiles,
/// quantities); the sums are returned on every rank. The sum over tiles is compensated. Collective over comm.
std::vector<double> sum_over_tiles(const Tiling& tiling, MPI_Comm comm, const std::vector<double>& per_tile,
                                   int quantities);

/// Running sum that carries its rounding error along (Neumaier 1974, Z. Angew. Math. Mech. 54): the result is as good
/// as if summed in twice the precision and rounded once, in a fixed order.
class CompensatedSum {
 public:
  void add(double value) {
    const double total = sum_ + value;
    rest_ += std::abs(sum_) >= std::abs(value) ? (sum_ - total) + value : (value - total) + sum_;
    sum_ = total;
  }
  double value() const { return sum_ + rest_; }

 private:
  double sum_ = 0, rest_ = 0;
};

/// Global integrals of a state. Mass is the sum of the cell means; the others are integrated by three by three Gauss
/// points a cell over the reconstruction of the means, so that their error is of fifth order in the cell's width and a
/// drift measures the scheme. Per unit density of the fluid.
struct Budgets {
  double mass = 0;                 ///< fluid volume, m3
  double energy = 0;               ///< total energy: integral of h |u|^2/2 + g h (h/2 + h_s), m5 s-2
  double potential_enstrophy = 0;  ///< integral of (zeta + f)^2 / (2 h), m s-2
  /// About the axis n of rotation (the pole of a sphere at rest): integral of h a n.(r x (u + rotation x a r)), with r
  /// the unit vector, m5 s-1. Conserved where there is no orography.
  double angular_momentum = 0;
};

/// Fills the ghost cells of `state`. Collective.
Budgets budgets(ShallowWater& solver, const State& state, int level = 0);

/// Relative vorticity as area means over the cells, s-1, on owned tiles: fourth order, see VorticityDivergence. Fills
/// the ghost cells of `state`. Collective.
std::vector<double> relative_vorticity(ShallowWater& solver, const State& state, int level = 0);

/// Normalised error norms of Williamson et al. 1992, eqs. 82-84, over cell means.
struct ErrorNorms {
  double l1 = 0, l2 = 0, linf = 0;
};

/// @param value,exact on owned tiles (tile, j, i)
ErrorNorms error_norms(const Grid& grid, MPI_Comm comm, const std::vector<double>& value,
                       const std::vector<double>& exact);

/// True on every rank when some value on some rank is not finite.
bool any_not_finite(MPI_Comm comm, const std::vector<double>& values);

}  // namespace tramontane
