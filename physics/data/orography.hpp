/// Orography on the cubed sphere from a relief file.
#pragma once

#include <vector>

#include "physics/data/gridded_file.hpp"

namespace tramontane {

/// Cell means (m) of max(relief, 0), shape (6, n, n): remapped conservatively, then smoothed by `passes` of
/// smooth_conserving. The area integral is that of max(relief, 0) on the file's grid, to round-off; no value is
/// negative.
std::vector<double> make_orography(const GriddedField& relief, int n, int passes);

/// Passes of exchange between cells that share a face: each face moves 1/8 of the difference times the smaller cell's
/// area. Keeps the area integral to round-off and every value within the range of its neighbours; a pass halves a wave
/// of two cells' length and takes 7 % from one of eight cells' length along one direction. Throws InputError when
/// passes < 0.
void smooth_conserving(std::vector<double>& field, int n, int passes);

}  // namespace tramontane
