/// Finds cells whose state no longer means anything: cheap enough to run after every step.
#pragma once

#include <string>
#include <vector>

#include "physics/shallow_water.hpp"

namespace tramontane {

/// Names of the variables of a state as files and messages give them: E, M_alpha, M_beta, then tracer_0, tracer_1 ...
std::vector<std::string> variable_names(int count);

/// A cell with a depth that is not positive, or any variable that is not finite.
struct BadCell {
  long number;        ///< tile * cells per tile + j * tile cells + i: the order in which cells are looked at
  int tile, level;    ///< tile number over all ranks
  int j, i;           ///< in the tile
  std::string field;  ///< "depth", "velocity along alpha", "velocity along beta" or the variable's name
  double value;       ///< of that field: m, m s-1, or the variable's own units
  Vector3 centre;     ///< on the unit sphere
};

/// Number of bad cells among this rank's, all levels; one pass over the interior. Local.
long count_bad_cells(const ShallowWater& solver, const State& state);

/// All bad cells of this rank in the order of their numbers, one entry a cell and level. Copies the state to the host.
/// Local.
std::vector<BadCell> bad_cells(const ShallowWater& solver, const State& state);

}  // namespace tramontane
