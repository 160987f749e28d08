/// How far a coarse run is from a finer one of the same case, for self-convergence where there is no exact solution.
#pragma once

#include "physics/diagnostics.hpp"

namespace tramontane {

/// Error norms over the coarse cells, the fine run coarse-grained taken for exact.
struct NestedDifference {
  ErrorNorms depth;
  ErrorNorms speed;      ///< of the mean momentum over the mean depth
  ErrorNorms vorticity;  ///< area means of relative vorticity
};

/// Compares two states on nested grids at the same model time. The fine state is coarse-grained exactly (see
/// coarse_grain_state), its vorticity computed on the fine grid and averaged. Both solvers must share tiles per edge,
/// ranks, levels and reference. Fills the ghost cells of both states. Collective.
/// @throws InputError when the grids do not nest
NestedDifference compare_nested(ShallowWater& fine, const State& fine_state, ShallowWater& coarse,
                                const State& coarse_state, int level = 0);

}  // namespace tramontane
