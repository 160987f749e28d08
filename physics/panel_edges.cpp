#include "physics/panel_edges.hpp"

#include <algorithm>
#include <map>

namespace tramontane {

namespace {

/// Length of a panel edge per panel angle, unit sphere, at an angle along it. One formula for all four sides: both
/// panels must get the same bits.
double edge_length_density(double along) {
  const double t = std::tan(along);
  return std::sqrt(2.0) * (1.0 + t * t) / (2.0 + t * t);
}

PanelPoint point_on_side(int panel, int side, double along) {
  switch (side) {
    case kWest:
      return {panel, -kQuarterPi, along};
    case kEast:
      return {panel, kQuarterPi, along};
    case kSouth:
      return {panel, along, -kQuarterPi};
    default:
      return {panel, along, kQuarterPi};
  }
}

/// Outward normal of a panel's side in the tangent plane.
Vector3 outward_normal(PanelPoint p, int side) {
  const Basis b = basis_at(p);
  const Vector3 r = to_cartesian(p);
  const Vector3 along = side == kWest || side == kEast ? b.beta : b.alpha;
  const Vector3 across = side == kWest || side == kEast ? b.alpha : b.beta;
  Vector3 normal = normalised(cross(along, r));
  const double outward = side == kEast || side == kNorth ? 1.0 : -1.0;
  return dot(normal, across) * outward > 0 ? normal : -1.0 * normal;
}

/// Global number of an edge point: unique over tiles, sides, positions and Gauss points.
std::int64_t edge_number(const Tiling& tiling, int tile, int side, int position, int gauss) {
  return ((static_cast<std::int64_t>(tile) * kSides + side) * tiling.tile_cells() + position) * kGaussPoints + gauss;
}

bool side_on_panel_edge(const Tiling& tiling, TilePlace place, int side) {
  const int last = tiling.tiles_per_edge - 1;
  return (side == kWest && place.ti == 0) || (side == kEast && place.ti == last) || (side == kSouth && place.tj == 0) ||
         (side == kNorth && place.tj == last);
}

}  // namespace

PanelEdges::PanelEdges(std::shared_ptr<const Grid> grid, MPI_Comm comm, int components, double deadline_seconds) {
  const Tiling& tiling = grid->tiling();
  const int n = tiling.n, size = tiling.tile_cells();

  std::vector<EdgePoint> points;
  std::vector<std::int64_t> partner;
  std::map<std::int64_t, int> slot;
  for (int tile = 0; tile < grid->tile_count(); ++tile) {
    const int number = grid->first_tile() + tile;
    const TilePlace place = tiling.place(number);
    for (int side = 0; side < kSides; ++side) {
      if (!side_on_panel_edge(tiling, place, side)) continue;
      const bool across_alpha = side == kWest || side == kEast;
      const PanelNeighbour there = panel_neighbour(place.panel, side);
      for (int position = 0; position < size; ++position)
        for (int gauss = 0; gauss < kGaussPoints; ++gauss) {
          const int along = (across_alpha ? place.tj : place.ti) * size + position;
          const int along_there = there.reversed ? n - 1 - along : along;
          const int gauss_there = there.reversed ? kGaussPoints - 1 - gauss : gauss;
          const PanelPoint here = point_on_side(place.panel, side, grid->angle(along, kGaussNode[gauss]));
          const PanelPoint beyond =
              point_on_side(there.panel, there.side, grid->angle(along_there, kGaussNode[gauss_there]));

          // The frame comes from the lower panel's geometry on both sides.
          const bool own_is_left = place.panel < there.panel;
          const PanelPoint lower = own_is_left ? here : beyond;
          const Vector3 normal = outward_normal(lower, own_is_left ? side : there.side);
          const Vector3 tangent = cross(to_cartesian(lower), normal);
          const Basis basis = basis_at(here);
          const Contravariant n_components = to_contravariant(normal, here);
          const Contravariant t_components = to_contravariant(tangent, here);
          const double towards_axis = dot(normal, across_alpha ? basis.alpha : basis.beta) > 0 ? 1.0 : -1.0;

          EdgePoint p{};
          p.tile = tile;
          p.side = side;
          p.position = position;
          p.gauss = gauss;
          p.own_is_left = own_is_left;
          p.to_normal[0] = dot(basis.alpha, normal);
          p.to_normal[1] = dot(basis.beta, normal);
          p.to_tangent[0] = dot(basis.alpha, tangent);
          p.to_tangent[1] = dot(basis.beta, tangent);
          p.to_alpha[0] = n_components.alpha;
          p.to_alpha[1] = t_components.alpha;
          p.to_beta[0] = n_components.beta;
          p.to_beta[1] = t_components.beta;
          p.flux_scale = towards_axis * edge_length_density(grid->angle(along, kGaussNode[gauss]));
          slot[edge_number(tiling, number, side, position, gauss)] = static_cast<int>(points.size());
          points.push_back(p);

          const PanelCell cell = cell_across(place.panel, side, along, 0, n);
          partner.push_back(edge_number(tiling, tiling.tile_of(cell), there.side, along_there % size, gauss_there));
        }
    }
  }

  std::vector<std::int64_t> needed = partner;
  std::sort(needed.begin(), needed.end());
  exchange_ = std::make_unique<PointExchange>(
      comm, needed,
      [&](std::int64_t number) {
        return tiling.owner(static_cast<int>(number / (static_cast<std::int64_t>(kSides) * size * kGaussPoints)));
      },
      [&](std::int64_t number) { return slot.at(number); }, components, deadline_seconds);

  points_ = View<EdgePoint*>("edge points", points.size());
  from_pool_ = View<int*>("edge pool positions", points.size());
  auto point_host = Kokkos::create_mirror_view(points_);
  auto pool_host = Kokkos::create_mirror_view(from_pool_);
  for (std::size_t k = 0; k < points.size(); ++k) {
    point_host(k) = points[k];
    pool_host(k) = exchange_->pool_index(partner[k]);
  }
  Kokkos::deep_copy(points_, point_host);
  Kokkos::deep_copy(from_pool_, pool_host);
  own_ = View<double**>("edge states, own", components, points.size());
  other_ = View<double**>("edge states, other", components, points.size());
}

void PanelEdges::start() {
  const auto slots = exchange_->slots();
  const auto packed = exchange_->packed();
  const auto own = own_;
  const int components = static_cast<int>(own_.extent(0));
  Kokkos::parallel_for(
      "edge pack", Kokkos::RangePolicy<ExecutionSpace>(0, static_cast<int>(slots.extent(0))), KOKKOS_LAMBDA(int k) {
        for (int c = 0; c < components; ++c) packed(c, k) = own(c, slots(k));
      });
  exchange_->start();
}

void PanelEdges::finish() {
  exchange_->finish();
  const auto pool = exchange_->pool();
  const auto from = from_pool_;
  const auto other = other_;
  const int components = static_cast<int>(own_.extent(0));
  Kokkos::parallel_for(
      "edge unpack", Kokkos::RangePolicy<ExecutionSpace>(0, static_cast<int>(from.extent(0))), KOKKOS_LAMBDA(int k) {
        for (int c = 0; c < components; ++c) other(c, k) = pool(c, from(k));
      });
}

}  // namespace tramontane
