/// Global budgets and error norms, with the same bits on any number of ranks.
#pragma once

#include <mpi.h>

#include <vector>

#include "physics/initial_state.hpp"

namespace tramontane {

/// Sums over the sphere: each tile in row order on its owner, tiles by number. `per_tile` has shape (owned tiles,
/// quantities); the sums are returned on every rank. Collective over comm.
std::vector<double> sum_over_tiles(const Tiling& tiling, MPI_Comm comm, const std::vector<double>& per_tile,
                                   int quantities);

/// Global integrals of a state. Energy and potential enstrophy are evaluated from cell means.
struct Budgets {
  double mass = 0;                 ///< fluid volume, m3
  double energy = 0;               ///< total energy per density: integral of h |u|^2/2 + g h (h/2 + h_s), m5 s-2
  double potential_enstrophy = 0;  ///< integral of (zeta + f)^2 / (2 h), m s-2
};

Budgets budgets(ShallowWater& solver, const State& state, int level = 0);

/// Relative vorticity of the cell means, s-1, on owned tiles: circulation around each cell from centred differences of
/// the covariant velocity (second order; a diagnostic). Fills the ghost cells of `state`.
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
