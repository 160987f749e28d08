/// Filling of missing values in longitude-latitude fields.
#pragma once

#include <vector>

namespace tramontane {

/// Replaces the missing values of a field of shape (nlat, nlon), longitude periodic, by the solution of Laplace's
/// equation in index space with the known values as boundary: the smoothest surface that fits, with no new extremes.
/// First every missing value gets the mean of its known neighbours, layer by layer from the rim inwards; then
/// successive over-relaxation over the missing values alone until the largest change is below 1e-10 of the known
/// values' range (or 20,000 sweeps, more than 1000 x 1000 missing values need). Rows at the latitude ends have no
/// neighbour beyond. missing[k] tells whether value k is missing; returns how many were. Throws InputError when all
/// are.
int fill_missing(std::vector<double>& field, const std::vector<bool>& missing, int nlat, int nlon);

}  // namespace tramontane
