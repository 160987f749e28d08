#include "physics/diagnostics.hpp"

#include <cmath>

namespace tramontane {

std::vector<double> sum_over_tiles(const Tiling& tiling, MPI_Comm comm, const std::vector<double>& per_tile,
                                   int quantities) {
  std::vector<int> counts(tiling.ranks), offsets(tiling.ranks);
  for (int rank = 0; rank < tiling.ranks; ++rank) {
    counts[rank] = tiling.owned_count(rank) * quantities;
    offsets[rank] = tiling.first_tile(rank) * quantities;
  }
  std::vector<double> all(static_cast<std::size_t>(tiling.tile_count()) * quantities);
  MPI_Allgatherv(per_tile.data(), static_cast<int>(per_tile.size()), MPI_DOUBLE, all.data(), counts.data(),
                 offsets.data(), MPI_DOUBLE, comm);
  std::vector<double> sums(quantities);
  for (int q = 0; q < quantities; ++q) {
    CompensatedSum sum;
    for (int tile = 0; tile < tiling.tile_count(); ++tile)
      sum.add(all[static_cast<std::size_t>(tile) * quantities + q]);
    sums[q] = sum.value();
  }
  return sums;
}

ErrorNorms error_norms(const Grid& grid, MPI_Comm comm, const std::vector<double>& value,
                       const std::vector<double>& exact) {
  const int size = grid.tile_cells();
  std::vector<double> per_tile(static_cast<std::size_t>(grid.tile_count()) * 4, 0.0);
  double largest[2] = {0.0, 0.0};
  std::size_t k = 0;
  for (int tile = 0; tile < grid.tile_count(); ++tile) {
    const TilePlace place = grid.tiling().place(grid.first_tile() + tile);
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i, ++k) {
        const double area = grid.cell_area(place.tj * size + j, place.ti * size + i);
        const double error = std::abs(value[k] - exact[k]), size_of = std::abs(exact[k]);
        per_tile[4 * tile] += area * error;
        per_tile[4 * tile + 1] += area * size_of;
        per_tile[4 * tile + 2] += area * error * error;
        per_tile[4 * tile + 3] += area * size_of * size_of;
        // Not std::max: a NaN must come through.
        if (!(error <= largest[0])) largest[0] = error;
        if (!(size_of <= largest[1])) largest[1] = size_of;
      }
  }
  const std::vector<double> s = sum_over_tiles(grid.tiling(), comm, per_tile, 4);
  MPI_Allreduce(MPI_IN_PLACE, largest, 2, MPI_DOUBLE, MPI_MAX, comm);
  return {s[0] / s[1], std::sqrt(s[2] / s[3]), largest[0] / largest[1]};
}

bool any_not_finite(MPI_Comm comm, const std::vector<double>& values) {
  int found = 0;
  for (double v : values)
    if (!std::isfinite(v)) found = 1;
  MPI_Allreduce(MPI_IN_PLACE, &found, 1, MPI_INT, MPI_MAX, comm);
  return found != 0;
}

}  // namespace tramontane
