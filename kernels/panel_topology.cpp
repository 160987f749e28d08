#include "kernels/panel_topology.hpp"

namespace tramontane {

// Crossing a side and crossing back must lead home: checked once, when this file is compiled.
static constexpr bool every_side_leads_back() {
  for (int panel = 0; panel < kPanels; ++panel)
    for (int side = 0; side < kSides; ++side) {
      const PanelNeighbour there = panel_neighbour(panel, side);
      const PanelNeighbour back = panel_neighbour(there.panel, there.side);
      if (back.panel != panel || back.side != side || back.reversed != there.reversed) return false;
    }
  return true;
}
static_assert(every_side_leads_back());

}  // namespace tramontane
