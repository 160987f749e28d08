#include "physics/data/orography.hpp"

#include <algorithm>

#include "kernels/errors.hpp"
#include "kernels/panel_topology.hpp"
#include "physics/elliptic/sphere_derivatives.hpp"
#include "physics/remap/conservative_remap.hpp"

namespace tramontane {

std::vector<double> make_orography(const GriddedField& relief, int n, int passes) {
  std::vector<double> land = relief.values;
  for (double& height : land) height = std::max(height, 0.0);
  std::vector<double> orography = ConservativeRemap(relief.grid, n).to_cubed_sphere(land);
  smooth_conserving(orography, n, passes);
  return orography;
}

void smooth_conserving(std::vector<double>& field, int n, int passes) {
  if (passes < 0) throw InputError("the number of smoothing passes of the orography must be 0 or more");
  constexpr double share = 0.125;
  const std::vector<double> areas = cell_areas(n);
  auto index = [n](PanelCell c) { return (static_cast<std::size_t>(c.panel) * n + c.j) * n + c.i; };
  std::vector<double> before;
  for (int pass = 0; pass < passes; ++pass) {
    before = field;
    for (int panel = 0; panel < kPanels; ++panel)
      for (int j = 0; j < n; ++j)
        for (int i = 0; i < n; ++i) {
          const PanelCell neighbours[kSides] = {
              i > 0 ? PanelCell{panel, j, i - 1} : cell_across(panel, kWest, j, 0, n),
              i + 1 < n ? PanelCell{panel, j, i + 1} : cell_across(panel, kEast, j, 0, n),
              j > 0 ? PanelCell{panel, j - 1, i} : cell_across(panel, kSouth, i, 0, n),
              j + 1 < n ? PanelCell{panel, j + 1, i} : cell_across(panel, kNorth, i, 0, n),
          };
          const std::size_t c = index({panel, j, i});
          double gained = 0;
          for (const PanelCell& neighbour : neighbours) {
            const std::size_t d = index(neighbour);
            gained += share * std::min(areas[c], areas[d]) * (before[d] - before[c]);
          }
          field[c] += gained / areas[c];
        }
  }
}

}  // namespace tramontane
