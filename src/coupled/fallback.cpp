#include "src/coupled/fallback.hpp"

#include <fmt/format.h>

#include "physics/diagnostics.hpp"

namespace tramontane {

double restore_mass(const Grid& grid, MPI_Comm comm, const std::vector<float>& weights, std::vector<double>& depth) {
  const int size = grid.tile_cells();
  std::vector<double> per_tile(static_cast<std::size_t>(grid.tile_count()) * 3, 0.0);
  std::size_t k = 0;
  for (int tile = 0; tile < grid.tile_count(); ++tile) {
    const TilePlace place = grid.tiling().place(grid.first_tile() + tile);
    double* sums = &per_tile[static_cast<std::size_t>(tile) * 3];
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i, ++k) {
        const double area = grid.mean_sqrt_g(place.tj * size + j, place.ti * size + i), weight = weights[k];
        sums[0] += area * depth[k];
        sums[1] += area * weight;
        sums[2] += 1 - weight;
      }
  }
  const std::vector<double> sums = sum_over_tiles(grid.tiling(), comm, per_tile, 3);
  if (sums[2] > 0 && sums[1] > 0) {
    const double mean = sums[0] / sums[1];
    for (std::size_t cell = 0; cell < depth.size(); ++cell) depth[cell] -= weights[cell] * mean;
  }
  return sums[2];
}

void FallbackTally::add(const std::vector<float>& weights, double lost, const GuardReport& report) {
  last_ = lost / static_cast<double>(cells_);
  lost_ += lost;
  ++calls_;
  ++map_calls_;
  input_ += report.input;
  output_ += report.output;
  is_broken_ = report.broken;
  broken_ += report.broken ? 1 : 0;
  if (report.broken)
    why_broken_ = report.rank_of_weights >= 0
                      ? fmt::format("its weights are not finite on solver rank {}", report.rank_of_weights)
                      : fmt::format("the state that it reads is not finite on solver rank {}", report.rank_of_inputs);
  if (lost > 0)
    for (std::size_t k = 0; k < weights.size(); ++k) deficit_[k] += 1.0 - weights[k];
}

std::vector<double> FallbackTally::take_map() {
  if (map_calls_ == 0) return {};
  std::vector<double> map(deficit_.size());
  for (std::size_t k = 0; k < map.size(); ++k) {
    map[k] = deficit_[k] / static_cast<double>(map_calls_);
    deficit_[k] = 0;
  }
  map_calls_ = 0;
  return map;
}

FallbackTally::Shares FallbackTally::since(const FallbackTally& before, MPI_Comm comm) const {
  std::int64_t counts[2] = {input_ - before.input_, output_ - before.output_};
  MPI_Allreduce(MPI_IN_PLACE, counts, 2, MPI_INT64_T, MPI_SUM, comm);
  const double all = static_cast<double>(calls_ - before.calls_) * static_cast<double>(cells_);
  if (!(all > 0)) return {};
  return {(lost_ - before.lost_) / all, static_cast<double>(counts[0]) / all, static_cast<double>(counts[1]) / all,
          broken_ - before.broken_};
}

}  // namespace tramontane
