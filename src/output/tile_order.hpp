/// The order in which HDF5 walks the cells of several tiles.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/tiling.hpp"

namespace tramontane {

/// HDF5 walks a selection of the file in ascending offset, tiles lie one after the other in memory: the positions in
/// the rank's tiles (owned, T, T) sorted by their offset in the global field (6, n, n).
std::vector<std::size_t> order_in_file(const Tiling& tiling, int rank);

}  // namespace tramontane
