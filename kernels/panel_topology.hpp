/// How the six panels of the cubed sphere meet, in index space: shared by the solver's halos and the networks'.
///
/// A panel is an N x N array of cells, index (j, i): i runs with alpha, j with beta. Panels 0..3 lie around the
/// equator, 4 holds the north pole and 5 the south pole (see physics/cubed_sphere.hpp for the mapping).
#pragma once

#include <Kokkos_Core.hpp>

namespace tramontane {

inline constexpr int kPanels = 6;

/// Sides of a panel: west i = 0, east i = N-1, south j = 0, north j = N-1.
enum Side : int { kWest = 0, kEast = 1, kSouth = 2, kNorth = 3 };
inline constexpr int kSides = 4;

/// The panel and side that lie across a side, and whether the index along the edge runs the other way there.
struct PanelNeighbour {
  int panel;
  Side side;
  bool reversed;
};

/// A cell of the sphere by panel and index.
struct PanelCell {
  int panel;
  int j;
  int i;
};

/// Neighbour across `side` of `panel`.
KOKKOS_INLINE_FUNCTION constexpr PanelNeighbour panel_neighbour(int panel, int side) {
  constexpr PanelNeighbour table[kPanels][kSides] = {
      {{3, kEast, false}, {1, kWest, false}, {5, kNorth, false}, {4, kSouth, false}},
      {{0, kEast, false}, {2, kWest, false}, {5, kEast, true}, {4, kEast, false}},
      {{1, kEast, false}, {3, kWest, false}, {5, kSouth, true}, {4, kNorth, true}},
      {{2, kEast, false}, {0, kWest, false}, {5, kWest, false}, {4, kWest, true}},
      {{3, kNorth, true}, {1, kNorth, false}, {0, kNorth, false}, {2, kNorth, true}},
      {{3, kSouth, false}, {1, kSouth, true}, {2, kSouth, true}, {0, kSouth, false}},
  };
  return table[panel][side];
}

/// The cell that lies `depth` cells (0 = adjacent) beyond `side` of `panel` at position `along` of that side, on a
/// grid of n cells per panel edge.
KOKKOS_INLINE_FUNCTION constexpr PanelCell cell_across(int panel, int side, int along, int depth, int n) {
  const PanelNeighbour neighbour = panel_neighbour(panel, side);
  const int position = neighbour.reversed ? n - 1 - along : along;
  switch (neighbour.side) {
    case kWest:
      return {neighbour.panel, position, depth};
    case kEast:
      return {neighbour.panel, position, n - 1 - depth};
    case kSouth:
      return {neighbour.panel, depth, position};
    default:
      return {neighbour.panel, n - 1 - depth, position};
  }
}

}  // namespace tramontane
