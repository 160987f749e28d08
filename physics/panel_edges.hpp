/// The faces that lie on panel edges: both panels hand in their own reconstruction there and both solve the same
/// Riemann problem, in one frame, from the same numbers. So the mass flux is single-valued to the last bit.
#pragma once

#include <memory>

#include "physics/grid.hpp"
#include "physics/point_exchange.hpp"

namespace tramontane {

/// The side of a tile that lies on a panel edge. Its points have the numbers
/// (segment * kGaussPoints + Gauss point) * tile cells + position along the side.
struct EdgeSegment {
  int tile, side;    ///< local tile, side of the tile
  bool own_is_left;  ///< this panel is the left side of the Riemann problem
};

/// Rows of the table of edge points: what turns a vector at the point between the tile's panel and the edge's frame.
enum EdgeGeometry : int {
  kNormalOfAlpha,  ///< frame components of a vector = sums over its contravariant components (alpha, beta)
  kNormalOfBeta,
  kTangentOfAlpha,
  kTangentOfBeta,
  kAlphaOfNormal,  ///< and back, from (normal, tangent)
  kAlphaOfTangent,
  kBetaOfNormal,
  kBetaOfTangent,
  kFluxScale,  ///< edge length per panel angle, signed towards the own axis' positive direction
  kEdgeGeometryRows
};

/// Set-up and exchange of edge states. Frame: the normal points out of the panel with the lower number, the tangent
/// completes (normal, tangent, outward) to a right-handed frame.
class PanelEdges {
 public:
  /// @param components values exchanged per point (levels times variables)
  PanelEdges(std::shared_ptr<const Grid> grid, MPI_Comm comm, int components, double deadline_seconds = 300.0);

  int segment_count() const { return static_cast<int>(segments_.extent(0)); }
  int point_count() const { return static_cast<int>(geometry_.extent(1)); }
  const View<EdgeSegment*>& segments() const { return segments_; }
  /// Shape (kEdgeGeometryRows, point).
  const View<Real**>& geometry() const { return geometry_; }
  /// Own states in, shape (component, point).
  const View<Real**>& own() const { return own_; }
  /// The other panel's states at the same points, valid after finish().
  const View<Real**>& other() const { return other_; }

  void start() { exchange_->start(Read{own_}); }
  void finish() {
    exchange_->copy_local(Read{own_}, Write{other_});
    exchange_->finish(Write{other_});
  }

  // What kernels capture may not be private.
  struct Read {
    View<Real**> own;
    KOKKOS_INLINE_FUNCTION Real operator()(int component, int slot) const { return own(component, slot); }
  };
  struct Write {
    View<Real**> other;
    KOKKOS_INLINE_FUNCTION void operator()(int component, int target, Real value) const {
      other(component, target) = value;
    }
  };

 private:
  std::unique_ptr<PointExchange> exchange_;
  View<EdgeSegment*> segments_;
  View<Real**> geometry_;
  View<Real**> own_, other_;
};

}  // namespace tramontane
