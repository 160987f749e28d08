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

/// Global number of an edge point: unique over tiles, sides, Gauss points and positions.
std::int64_t edge_number(const Tiling& tiling, int tile, int side, int gauss, int position) {
  return ((static_cast<std::int64_t>(tile) * kSides + side) * kGaussPoints + gauss) * tiling.tile_cells() + position;
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

  std::vector<EdgeSegment> segments;
  for (int tile = 0; tile < grid->tile_count(); ++tile) {
    const TilePlace place = tiling.place(grid->first_tile() + tile);
    for (int side = 0; side < kSides; ++side)
      if (side_on_panel_edge(tiling, place, side))
        segments.push_back({tile, side, place.panel < panel_neighbour(place.panel, side).panel});
  }
  const int count = static_cast<int>(segments.size()) * kGaussPoints * size;

  geometry_ = View<Real**>("edge geometry", kEdgeGeometryRows, count);
  auto table = Kokkos::create_mirror_view(geometry_);
  std::vector<std::int64_t> partner;  // of each point, in order
  std::map<std::int64_t, int> slot;
  for (const EdgeSegment& segment : segments) {
    const int number = grid->first_tile() + segment.tile, side = segment.side;
    const TilePlace place = tiling.place(number);
    const bool across_alpha = side == kWest || side == kEast;
    const PanelNeighbour there = panel_neighbour(place.panel, side);
    for (int gauss = 0; gauss < kGaussPoints; ++gauss)
      for (int position = 0; position < size; ++position) {
        const int along = (across_alpha ? place.tj : place.ti) * size + position;
        const int along_there = there.reversed ? n - 1 - along : along;
        const int gauss_there = there.reversed ? kGaussPoints - 1 - gauss : gauss;
        const PanelPoint here = point_on_side(place.panel, side, grid->angle(along, kGaussNode[gauss]));
        const PanelPoint beyond =
            point_on_side(there.panel, there.side, grid->angle(along_there, kGaussNode[gauss_there]));

        // The frame comes from the lower panel's geometry on both sides.
        const PanelPoint lower = segment.own_is_left ? here : beyond;
        const Vector3 normal = outward_normal(lower, segment.own_is_left ? side : there.side);
        const Vector3 tangent = cross(to_cartesian(lower), normal);
        const Basis basis = basis_at(here);
        const Contravariant n_components = to_contravariant(normal, here);
        const Contravariant t_components = to_contravariant(tangent, here);
        const double towards_axis = dot(normal, across_alpha ? basis.alpha : basis.beta) > 0 ? 1.0 : -1.0;

        const int k = static_cast<int>(partner.size());
        const double rows[kEdgeGeometryRows] = {
            dot(basis.alpha, normal),
            dot(basis.beta, normal),
            dot(basis.alpha, tangent),
            dot(basis.beta, tangent),
            n_components.alpha,
            t_components.alpha,
            n_components.beta,
            t_components.beta,
            towards_axis * edge_length_density(grid->angle(along, kGaussNode[gauss]))};
        for (int row = 0; row < kEdgeGeometryRows; ++row) table(row, k) = static_cast<Real>(rows[row]);
        slot[edge_number(tiling, number, side, gauss, position)] = k;
        const PanelCell cell = cell_across(place.panel, side, along, 0, n);
        partner.push_back(edge_number(tiling, tiling.tile_of(cell), there.side, gauss_there, along_there % size));
      }
  }
  Kokkos::deep_copy(geometry_, table);

  segments_ = View<EdgeSegment*>("edge segments", segments.size());
  auto segment_host = Kokkos::create_mirror_view(segments_);
  std::copy(segments.begin(), segments.end(), segment_host.data());
  Kokkos::deep_copy(segments_, segment_host);

  exchange_ = std::make_unique<PointExchange>(
      comm, partner,
      [&](std::int64_t number) {
        return tiling.owner(static_cast<int>(number / (static_cast<std::int64_t>(kSides) * size * kGaussPoints)));
      },
      [&](std::int64_t number) { return slot.at(number); }, components, deadline_seconds);
  own_ = View<Real**>("edge states, own", components, count);
  other_ = View<Real**>("edge states, other", components, count);
}

}  // namespace tramontane
