#include "physics/tile_sides.hpp"

#include <array>

namespace tramontane {

namespace {

constexpr int opposite(int side) {
  return side ^ 1;  // west and east, south and north are neighbours in the enumeration
}
static_assert(opposite(kWest) == kEast && opposite(kSouth) == kNorth);

/// What lies across a tile's side: tile, its side, and whether positions run the other way.
struct Across {
  int tile, side;
  bool reversed;
};

Across across(const Tiling& tiling, int tile, int side) {
  const TilePlace place = tiling.place(tile);
  const int tj = place.tj + (side == kNorth) - (side == kSouth), ti = place.ti + (side == kEast) - (side == kWest);
  const int last = tiling.tiles_per_edge - 1;
  if (tj >= 0 && tj <= last && ti >= 0 && ti <= last)
    return {tiling.tile_at(place.panel, tj, ti), opposite(side), false};
  const PanelNeighbour there = panel_neighbour(place.panel, side);
  const int along = side == kWest || side == kEast ? place.tj : place.ti;
  const PanelCell beyond = cell_across(place.panel, side, along, 0, tiling.tiles_per_edge);  // in units of tiles
  return {tiling.tile_at(beyond.panel, beyond.j, beyond.i), there.side, there.reversed};
}

/// Reads and writes a field by component (level, component) and point.
struct SidePoints {
  View<Real*****> field;
  View<int* [4]> place;
  int components;
  KOKKOS_INLINE_FUNCTION Real& at(int component, int p) const {
    return field(place(p, 0), component / components, kFaceSlots * (component % components) + place(p, 1), place(p, 2),
                 place(p, 3));
  }
  KOKKOS_INLINE_FUNCTION Real operator()(int component, int slot) const { return at(component, slot); }
  KOKKOS_INLINE_FUNCTION void operator()(int component, int target, Real value) const { at(component, target) = value; }
};

}  // namespace

TileSides::TileSides(std::shared_ptr<const Grid> grid, MPI_Comm comm, int levels, int components,
                     double deadline_seconds)
    : components_(components) {
  const Tiling& tiling = grid->tiling();
  const int size = tiling.tile_cells(), first = grid->first_tile();
  const std::int64_t per_tile = static_cast<std::int64_t>(kSides) * size * kGaussPoints;

  // Points of the own tiles in order of their global numbers, so that a number's slot is its distance from the first.
  std::vector<std::array<int, 4>> own, ring;
  std::vector<std::int64_t> partner;
  for (int tile = 0; tile < grid->tile_count(); ++tile)
    for (int side = 0; side < kSides; ++side) {
      const Across there = across(tiling, first + tile, side);
      for (int position = 0; position < size; ++position)
        for (int gauss = 0; gauss < kGaussPoints; ++gauss) {
          const bool along_beta = side == kWest || side == kEast;
          const int inside = side == kWest || side == kSouth ? 1 : size;
          const int outside = side == kWest || side == kSouth ? 0 : size + 1;
          const int along = position + 1;
          own.push_back({tile, kGaussPoints * side + gauss, along_beta ? along : inside, along_beta ? inside : along});
          ring.push_back({tile, kGaussPoints * opposite(side) + gauss, along_beta ? along : outside,
                          along_beta ? outside : along});
          const int position_there = there.reversed ? size - 1 - position : position;
          const int gauss_there = there.reversed ? kGaussPoints - 1 - gauss : gauss;
          partner.push_back(there.tile * per_tile +
                            (static_cast<std::int64_t>(there.side) * size + position_there) * kGaussPoints +
                            gauss_there);
        }
    }

  exchange_ = std::make_unique<PointExchange>(
      comm, partner, [&](std::int64_t number) { return tiling.owner(static_cast<int>(number / per_tile)); },
      [&](std::int64_t number) { return static_cast<int>(number - first * per_tile); }, levels * components,
      deadline_seconds);

  const int points = static_cast<int>(own.size());
  own_ = View<int* [4]>("side points, own", points);
  ring_ = View<int* [4]>("side points, ring", points);
  auto own_host = Kokkos::create_mirror_view(own_);
  auto ring_host = Kokkos::create_mirror_view(ring_);
  for (int p = 0; p < points; ++p)
    for (int c = 0; c < 4; ++c) {
      own_host(p, c) = own[p][c];
      ring_host(p, c) = ring[p][c];
    }
  Kokkos::deep_copy(own_, own_host);
  Kokkos::deep_copy(ring_, ring_host);
}

void TileSides::start(const View<Real*****>& field) {
  exchange_->start(SidePoints{field, own_, components_});
}

void TileSides::finish(const View<Real*****>& field) {
  const SidePoints write{field, ring_, components_};
  exchange_->copy_local(SidePoints{field, own_, components_}, write);
  exchange_->finish(write);
}

}  // namespace tramontane
