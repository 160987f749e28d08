/// A fluid at rest, which must stay at rest over any orography (the lake at rest of Audusse et al. 2004, SIAM J. Sci.
/// Comput. 25).
#pragma once

#include <cstdint>

#include "physics/initial_state.hpp"

namespace tramontane {

/// A fluid at rest, its surface at `height` (m), over the given orography. Exact and steady.
AnalyticCase resting(double height, std::function<double(Vector3)> orography);

/// Height that the random relief of a run stays below, m.
inline constexpr double kRandomReliefTop = 3000.0;

/// A height between 0 and `top` (m) for every cell, drawn from the seed and the cell's number on the whole sphere: as
/// rough as the grid can be, across panel edges and corners too, and the same on any number of ranks and tiles.
/// @return on owned tiles (tile, j, i)
std::vector<double> random_relief(const Grid& grid, double top, std::uint64_t seed);

}  // namespace tramontane
