#include "src/output/cf_grid.hpp"

#include <cmath>
#include <numbers>

#include "physics/cubed_sphere.hpp"

namespace tramontane {
namespace {

constexpr double kDegrees = 180 / std::numbers::pi;

/// The longitude plus the turn that brings it within 180 degrees of a reference.
double near(double longitude, double reference) {
  return longitude - 360 * std::round((longitude - reference) / 360);
}

}  // namespace

CfGrid cubed_sphere_cf_grid(int n) {
  CfGrid grid;
  grid.n = n;
  // The same expression for an edge from both sides, so that neighbours share their vertices to the bit on a panel.
  const auto edge = [n](int i) { return kQuarterPi * (2.0 * i - n) / n; };
  const auto centre = [n](int i) { return kQuarterPi * (2.0 * i + 1 - n) / n; };
  for (int i = 0; i < n; ++i) grid.angles.push_back(centre(i) * kDegrees);
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = 0; j < n; ++j)
      for (int i = 0; i < n; ++i) {
        const LonLat middle = to_lonlat(to_cartesian(PanelPoint{panel, centre(i), centre(j)}));
        const double longitude = middle.longitude * kDegrees;
        grid.lon.push_back(longitude);
        grid.lat.push_back(middle.latitude * kDegrees);
        grid.area.push_back(kEarthRadius * kEarthRadius * cell_solid_angle(edge(i), edge(i + 1), edge(j), edge(j + 1)));
        constexpr int corners[4][2] = {{0, 0}, {1, 0}, {1, 1}, {0, 1}};
        for (const auto& [di, dj] : corners) {
          const LonLat vertex = to_lonlat(to_cartesian(PanelPoint{panel, edge(i + di), edge(j + dj)}));
          // A pole has every longitude: the cell's own keeps its outline in one piece.
          const bool is_pole = std::abs(vertex.latitude) > std::numbers::pi / 2 - 1e-9;
          grid.lon_vertices.push_back(is_pole ? longitude : near(vertex.longitude * kDegrees, longitude));
          grid.lat_vertices.push_back(vertex.latitude * kDegrees);
        }
      }
  return grid;
}

}  // namespace tramontane
