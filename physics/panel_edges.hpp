/// The faces that lie on panel edges: both panels hand in their own reconstruction there and both solve the same
/// Riemann problem, in one frame, from the same numbers. So the mass flux is single-valued to the last bit.
#pragma once

#include <memory>

#include "physics/grid.hpp"
#include "physics/point_exchange.hpp"

namespace tramontane {

/// One Gauss point of one face on a panel edge, as a kernel sees it.
struct EdgePoint {
  int tile, side, position, gauss;     ///< local tile, side of the tile, cell along the side
  bool own_is_left;                    ///< this panel is the left side of the Riemann problem
  double to_normal[2], to_tangent[2];  ///< frame components of a vector = sum over (alpha, beta) of contravariant ones
  double to_alpha[2], to_beta[2];      ///< and back, from (normal, tangent)
  double flux_scale;                   ///< edge length per panel angle, signed towards the own axis' positive direction
};

/// Set-up and exchange of edge states. Frame: the normal points out of the panel with the lower number, the tangent
/// completes (normal, tangent, outward) to a right-handed frame.
class PanelEdges {
 public:
  /// @param components values exchanged per point (levels * 3)
  PanelEdges(std::shared_ptr<const Grid> grid, MPI_Comm comm, int components, double deadline_seconds = 300.0);

  int count() const { return static_cast<int>(points_.extent(0)); }
  const View<EdgePoint*>& points() const { return points_; }
  /// Own states in, shape (component, point), in the order of points().
  const View<double**>& own() const { return own_; }
  /// The other panel's states at the same points, valid after finish().
  const View<double**>& other() const { return other_; }

  void start();
  void finish();

 private:
  std::unique_ptr<PointExchange> exchange_;
  View<EdgePoint*> points_;
  View<int*> from_pool_;
  View<double**> own_, other_;
};

}  // namespace tramontane
