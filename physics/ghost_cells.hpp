/// Fills the ghost cells of tiles: copies inside a panel, interpolation across panel edges and at cube corners.
#pragma once

#include <memory>

#include "kernels/lanes.hpp"
#include "physics/grid.hpp"
#include "physics/point_exchange.hpp"

namespace tramontane {

/// What a GhostCells fills, and how.
struct GhostOptions {
  int width = 0;           ///< innermost rings that are filled; 0: max(3, (order + 1)/2)
  bool has_vector = true;  ///< variables 1 and 2 are the components of a vector; else all variables are scalars
  int degree_along = 4;    ///< of the polynomials along the edge: 4, or 6 for terms that take two derivatives
};

/// A ghost cell beyond a panel's edge lies, in the panel's extended angles, on the ground of another panel. Its average
/// is the Gauss quadrature over the ghost cell of the owner panel's polynomial: five by five (or seven by seven) cells
/// of the owner's interior, tensor product, momentum turned into the ghost's basis at each quadrature point. All of
/// that is linear and is tabulated once as weights; constants (of geopotential) are reproduced to round-off. The cells
/// beyond a cube corner lie on the ground of a panel too and take the same path. See docs/design/solver.md.
///
/// Polynomials are quartic whatever the order of the reconstruction: of degree six in both directions, one-sided at the
/// edge, they amplify what is rough so much that ghost cells over random heights of 1500 m lose their ground, and
/// viscosity its stability. Degree six along the edge alone makes ghost values of sixth order (across the edge a ghost
/// cell lies in one row of the neighbour's, whose mean every polynomial keeps, so what the quartic gets wrong there has
/// mean zero and counts an order less), but it too loses the ground over random heights: docs/design/viscosity.md.
///
/// By the cube's symmetry one table serves all sides of all panels, once depth is counted outward from the edge, the
/// along-edge index runs as the own panel's, and momentum is split into (outward, along): the angle across the edge is
/// the same coordinate on both panels, so the outward component needs the scalar's weights only.
///
/// State layout: (tile, level, variable, j, i) with kHalo ghost cells on each side; variable 0 scalar, 1 and 2 the
/// contravariant components of a vector, further ones scalars; all weighted by sqrt_g. The innermost
/// max(3, (order + 1)/2) rings are filled.
class GhostCells {
 public:
  /// @param variables of the states that will be filled, at least 3 if two of them are a vector
  GhostCells(std::shared_ptr<const Grid> grid, MPI_Comm comm, int levels, int variables = 3,
             double deadline_seconds = 300.0, GhostOptions options = {});

  void start(const View<Real*****>& state);
  /// With `scalar` or `vector` false the ghosts of variable 0 and of 3 and up, or of 1 and 2, are left as they are.
  void finish(const View<Real*****>& state, bool scalar = true, bool vector = true);

  /// Whether other ranks take part, so that there is something to overlap with.
  bool has_remote() const { return exchange_->has_remote(); }
  int width() const { return width_; }

  /// The side of a tile that lies on a panel edge.
  struct Segment {
    int tile, side;
    int table;                     ///< position of the tile along the edge, which selects the weights
    int first[kHalo];              ///< positions along the side, relative to the tile, that are filled at each depth
    int last[kHalo];               ///< one past the last
    bool alpha_is_normal;          ///< the neighbour's alpha crosses the edge
    Real normal_sign, along_sign;  ///< from the neighbour's components to (outward, along)
  };
  /// Neighbouring cells of this rank that become a row of a strip (segment >= 0) or of ghosts of another tile (-1).
  /// Source and target count from the first cell of their plane: a tile's one variable, or a strip's.
  struct Run {
    int source_tile, source, stride;
    int segment, target_tile, target, count;
  };
  /// Weights of kLanes neighbouring ghosts: sources are the strip's columns first_source + lane + m, m < window.
  struct Block {
    int weights, first_source, window;
  };

  // Kernels: extended lambdas may not live in private members.
  void copy_own(const View<Real*****>& state, bool scalar, bool vector);
  void interpolate(const View<Real*****>& state, bool scalar, bool vector);

 private:
  void tabulate(int tile_position);

  std::shared_ptr<const Grid> grid_;
  int levels_, variables_;
  int rows_, along_;  ///< cells of the neighbour that a ghost cell takes: rows from the edge, and along it
  int width_;
  bool has_vector_;
  int blocks_per_row_, strip_columns_;
  std::unique_ptr<PointExchange> exchange_;
  View<Segment*> segments_;
  View<Run*> runs_;
  View<Real*****> strips_;  ///< (segment, level, variable, row from the edge, column): the neighbour's cells
  View<Block***> blocks_;   ///< (table, depth, block)
  View<Real*> weights_;     ///< per block: (kind, row, m, lane), kinds: scalar, along of outward, along of along
  std::vector<Block> block_list_;
  std::vector<Real> weight_list_;
};

}  // namespace tramontane
