/// Exact coarse-graining between nested grids, and the correction that brings a coarse solver to a fine one.
#pragma once

#include "physics/initial_state.hpp"

namespace tramontane {

/// Cells of the fine grid per coarse cell and direction. Throws InputError when the grids do not nest.
int nesting_ratio(int fine_n, int coarse_n);

/// Orography of the coarse grid: sqrt_g-weighted mean over the children, so that the volume below is the same, m.
std::vector<double> coarse_grain_orography(const Grid& fine, const Grid& coarse, const std::vector<double>& orography);

/// State of the coarse solver from the fine one: the mean over the children of each sqrt_g-weighted mean, which is the
/// coarse mean exactly. Both solvers must share tiling, levels and reference.
void coarse_grain_state(const ShallowWater& fine, const State& fine_state, const ShallowWater& coarse,
                        const State& coarse_state);

/// (to - from) / seconds: depth tendency in m s-1, velocity tendency in m s-2.
CellFields tendency_between(const CellFields& from, const CellFields& to, double seconds);

/// Forcing for ShallowWater::set_forcing from a correction tendency (depth, Cartesian velocity) held over an interval.
/// The global mean of the depth tendency is removed, so that the correction conserves mass. Collective.
View<Real*****> correction_forcing(const ShallowWater& solver, const State& state, const CellFields& tendency);

}  // namespace tramontane
