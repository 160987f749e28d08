#include "physics/cases/rest.hpp"

namespace tramontane {

namespace {

/// SplitMix64 (Steele, Lea and Flood 2014, OOPSLA): a well mixed number for each input.
std::uint64_t mixed(std::uint64_t number) {
  number += 0x9E3779B97F4A7C15;
  number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9;
  number = (number ^ (number >> 27)) * 0x94D049BB133111EB;
  return number ^ (number >> 31);
}

}  // namespace

AnalyticCase resting(double height, std::function<double(Vector3)> orography) {
  AnalyticCase out;
  out.orography = orography;
  out.state = [height, orography](Vector3 r, double) { return PointState{height - orography(r), {0, 0, 0}}; };
  out.reference_height = height;
  out.exact = true;
  out.steady = true;
  return out;
}

std::vector<double> random_relief(const Grid& grid, double top, std::uint64_t seed) {
  const Tiling& tiling = grid.tiling();
  std::vector<double> global(tiling.cell_count());
  for (std::size_t cell = 0; cell < global.size(); ++cell)
    global[cell] = top * static_cast<double>(mixed(mixed(seed) + cell) >> 11) * 0x1.0p-53;
  return tiles_from_global(tiling, global, grid.first_tile(), grid.tile_count());
}

}  // namespace tramontane
