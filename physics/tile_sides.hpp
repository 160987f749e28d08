/// Delivers values at the Gauss points of the faces on tile borders to the tile on the other side.
#pragma once

#include <memory>

#include "physics/grid.hpp"
#include "physics/point_exchange.hpp"

namespace tramontane {

/// Slots of a face's Gauss point among the values that belong to one cell: kGaussPoints * side + Gauss point.
inline constexpr int kFaceSlots = kSides * kGaussPoints;

/// A field of values at the faces of every cell, as seen from inside the cell, has the shape
/// (tile, level, kFaceSlots * component + slot, j + 1, i + 1): one ring of cells around the tile. The exchange fills,
/// for each side of each tile, the ring's slot that faces the tile with what the neighbour holds at the same point of
/// the same face, whether the neighbour lies on this panel or on another one.
class TileSides {
 public:
  /// @param values levels * components of the field
  TileSides(std::shared_ptr<const Grid> grid, MPI_Comm comm, int levels, int components,
            double deadline_seconds = 300.0);

  void start(const View<Real*****>& field);
  void finish(const View<Real*****>& field);

 private:
  int components_;
  std::unique_ptr<PointExchange> exchange_;
  View<int* [4]> own_;   ///< (point, {tile, slot, ringed j, ringed i}) inside the tile
  View<int* [4]> ring_;  ///< the same outside, where the neighbour's value goes
};

}  // namespace tramontane
