/// Exact coarse-graining between nested grids, and the correction that brings a coarse solver to a fine one.
#pragma once

#include "physics/initial_state.hpp"

namespace tramontane {

/// Cells of the fine grid per coarse cell and direction. Throws InputError when the grids do not nest.
int nesting_ratio(int fine_n, int coarse_n);

/// Area means of the coarse cells from those of the fine cells, on owned tiles: the sqrt_g-weighted mean over the
/// children. Both grids must share tiles per edge and ranks.
std::vector<double> coarse_grain_means(const Grid& fine, const Grid& coarse, const std::vector<double>& field);

/// Orography of the coarse grid: the volume below is the same, m.
inline std::vector<double> coarse_grain_orography(const Grid& fine, const Grid& coarse,
                                                  const std::vector<double>& orography) {
  return coarse_grain_means(fine, coarse, orography);
}

/// State of the coarse solver from the fine one: the mean over the children of each sqrt_g-weighted mean, which is the
/// coarse mean exactly: mass and the contents of the tracers are the same. Both solvers must share tiling, levels,
/// reference and tracers.
void coarse_grain_state(const ShallowWater& fine, const State& fine_state, const ShallowWater& coarse,
                        const State& coarse_state);

/// (to - from) / seconds: depth tendency in m s-1, velocity tendency in m s-2.
CellFields tendency_between(const CellFields& from, const CellFields& to, double seconds);

/// Forcing for ShallowWater::set_forcing from a correction tendency (depth, Cartesian velocity) held over an interval.
/// The global mean of the depth tendency is removed, so that the correction conserves mass. Collective.
View<Real*****> correction_forcing(const ShallowWater& solver, const State& state, const CellFields& tendency);

}  // namespace tramontane
