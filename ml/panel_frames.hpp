/// Vectors between the Cartesian components in which they travel and the panels' own directions in which a convolution
/// can understand them.
///
/// A kernel shared by the six panels sees pixels, whose axes point elsewhere on every panel. What a solver lacks is a
/// function of the flow along and across its grid lines, the same on every panel; given Cartesian components a network
/// has to learn it six times over, and the turning too. So vectors enter the first convolution, and leave the last, in
/// the panel's frame. Halos are filled with Cartesian components first and then turned into the receiving panel's frame
/// (which extends beyond its edges), so that no component ever crosses an edge unturned. docs/design/learner.md has
/// the measured effect.
#pragma once

#include <vector>

#include "kernels/tiling.hpp"
#include "ml/memory.hpp"

namespace tramontane {

/// Unit vectors along the two grid lines through a cell's centre, as the caller's geometry gives them: shape
/// (6, n + 2, n + 2, 6), the panel extended by one cell on each side; components (alpha x, y, z, beta x, y, z).
using PanelAxesTable = std::vector<float>;

/// The frames of a rank's tiles. The arrays that are turned are in the memory that the frames were made for; on a
/// device, calls return before the work is done.
class PanelFrames {
 public:
  PanelFrames() = default;
  /// Frames of the tiles [first, first + count) of `grid`. Throws InputError when the table has the wrong size.
  PanelFrames(const Tiling& grid, const PanelAxesTable& axes, int first, int count, Memory memory = Memory::host);

  bool empty() const { return padded_.size() == 0; }

  /// Replaces the vector in channels [at, at + 3) of padded cells (images, T + 2, T + 2, stride) by its components
  /// along the two axes and its magnitude. Images are this rank's tiles, repeated per sample.
  template <class Scalar>
  void to_panel(Scalar* padded, int images, int stride, int at) const;

  /// Replaces channels [at, at + 3) of cells (images, T, T, stride), of which the first two count, by the Cartesian
  /// vector (first * alpha axis + second * beta axis).
  template <class Scalar>
  void to_cartesian(Scalar* cells, int images, int stride, int at) const;

  /// Adjoint of to_cartesian, for gradients: channels [at, at + 3) become the gradient with respect to what
  /// to_cartesian read there.
  template <class Scalar>
  void to_cartesian_adjoint(Scalar* cells, int images, int stride, int at) const;

  /// Axes of the cells themselves, (tiles, T, T, 6), for kernels that turn vectors on their way: null when empty.
  const float* cell_axes() const { return cells_.data(); }

 private:
  std::size_t tiles_ = 0, tile_cells_ = 0, padded_cells_ = 0;  ///< tiles, and cells of one
  MemoryBuffer<float> padded_;                                 ///< (tiles, T + 2, T + 2, 6)
  MemoryBuffer<float> cells_;                                  ///< (tiles, T, T, 6)
};

}  // namespace tramontane
