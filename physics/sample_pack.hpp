/// The variables of a training sample from states of the coarse solver, made by one kernel where the states are.
#pragma once

#include <span>

#include "kernels/sample.hpp"
#include "physics/shallow_water.hpp"

namespace tramontane {

/// What of the geometry goes into a sample, tabulated once.
class SamplePack {
 public:
  /// Samples of this solver, of its first level.
  explicit SamplePack(const ShallowWater& coarse);

  /// Cells of the rank's tiles.
  int cells() const { return static_cast<int>(geometry_.extent(1)); }

  /// Packs sample_inputs() of `start`, then sample_targets(): what would bring `end`, to which the coarse solver went
  /// from there, to `truth` over an interval of `seconds`. `variables` points to (owned tiles, T, T) floats for each, in
  /// memory that kernels write. Computed in double precision as cell_fields() does, with the same bits. Queued, not waited
  /// for.
  void operator()(std::span<float* const> variables, const State& start, const State& end, const State& truth,
                  double seconds) const;

 private:
  View<double**> geometry_;  ///< (mean sqrt_g, orography, basis vectors x y z; owned cell)
  double gravity_, reference_;
  int size_;  ///< cells along a tile's edge
};

}  // namespace tramontane
