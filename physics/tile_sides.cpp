#include "physics/tile_sides.hpp"

#include <algorithm>
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

void pack(const View<Real*****>& field, const View<int* [4]>& own, const View<int*>& slots,
          const View<double**>& packed, int levels, int components) {
  Kokkos::parallel_for(
      "side pack", Kokkos::RangePolicy<ExecutionSpace>(0, static_cast<int>(slots.extent(0))), KOKKOS_LAMBDA(int k) {
        const int p = slots(k);
        for (int level = 0; level < levels; ++level)
          for (int c = 0; c < components; ++c)
            packed(level * components + c, k) =
                field(own(p, 0), level, kFaceSlots * c + own(p, 1), own(p, 2), own(p, 3));
      });
}

void unpack(const View<Real*****>& field, const View<int* [4]>& ring, const View<int*>& from,
            const View<double**>& pool, int levels, int components) {
  Kokkos::parallel_for(
      "side unpack", Kokkos::RangePolicy<ExecutionSpace>(0, static_cast<int>(from.extent(0))), KOKKOS_LAMBDA(int p) {
        for (int level = 0; level < levels; ++level)
          for (int c = 0; c < components; ++c)
            field(ring(p, 0), level, kFaceSlots * c + ring(p, 1), ring(p, 2), ring(p, 3)) =
                pool(level * components + c, from(p));
      });
}

}  // namespace

TileSides::TileSides(std::shared_ptr<const Grid> grid, MPI_Comm comm, int levels, int components,
                     double deadline_seconds)
    : levels_(levels), components_(components) {
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

  std::vector<std::int64_t> needed = partner;
  std::sort(needed.begin(), needed.end());
  exchange_ = std::make_unique<PointExchange>(
      comm, needed, [&](std::int64_t number) { return tiling.owner(static_cast<int>(number / per_tile)); },
      [&](std::int64_t number) { return static_cast<int>(number - first * per_tile); }, levels * components,
      deadline_seconds);

  const int points = static_cast<int>(own.size());
  own_ = View<int* [4]>("side points, own", points);
  ring_ = View<int* [4]>("side points, ring", points);
  from_pool_ = View<int*>("side pool positions", points);
  auto own_host = Kokkos::create_mirror_view(own_);
  auto ring_host = Kokkos::create_mirror_view(ring_);
  auto pool_host = Kokkos::create_mirror_view(from_pool_);
  for (int p = 0; p < points; ++p) {
    for (int c = 0; c < 4; ++c) {
      own_host(p, c) = own[p][c];
      ring_host(p, c) = ring[p][c];
    }
    pool_host(p) = exchange_->pool_index(partner[p]);
  }
  Kokkos::deep_copy(own_, own_host);
  Kokkos::deep_copy(ring_, ring_host);
  Kokkos::deep_copy(from_pool_, pool_host);
}

void TileSides::start(const View<Real*****>& field) {
  pack(field, own_, exchange_->slots(), exchange_->packed(), levels_, components_);
  exchange_->start();
}

void TileSides::finish(const View<Real*****>& field) {
  exchange_->finish();
  unpack(field, ring_, from_pool_, exchange_->pool(), levels_, components_);
}

}  // namespace tramontane
