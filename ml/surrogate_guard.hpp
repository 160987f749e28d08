/// The guard of a surrogate in the loop: decides cell by cell how much of a correction is to be trusted.
///
/// A convolution is not judged point by point: what it says in a cell comes from the cell's surroundings. So a cell's
/// score looks at its neighbours (slopes, curl, divergence, noise), counts as the mean over a window of 5 x 5 cells
/// that slides (fixed blocks would have seams, and would depend on the tiling), and a cell that trips takes the cells
/// about it along. All of it crosses tile, panel and rank borders through the networks' halo exchange.
/// docs/design/guard.md has the formulation and what was measured.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/surrogate_guard.hpp"
#include "ml/network_halo.hpp"
#include "ml/normaliser.hpp"
#include "ml/training_distribution.hpp"

namespace tramontane {

/// In units of the root mean square over the training samples: up to the threshold a correction is used whole, from the
/// cutoff on not at all.
struct GuardOptions {
  double threshold = 3, cutoff = 4;
};

/// Cells of this rank in one call whose score was beyond the threshold, by what was foreign; `broken` if the model's
/// weights or some input, on any rank, were not finite: then all cells are, and the last such rank is named.
struct GuardReport {
  std::int64_t input = 0, output = 0;
  bool broken = false;
  int rank_of_inputs = -1, rank_of_weights = -1;  ///< -1: all were finite
};

class SurrogateGuard {
 public:
  /// For the tiles of a rank. Arrays passed to judge() are in `memory`. Collective over `solvers`, whose size is
  /// tiling.ranks. Throws InputError if the positions are those of another grid.
  SurrogateGuard(const Tiling& tiling, MPI_Comm solvers, const CellPositions& positions, const GuardOptions& options,
                 Memory memory, double deadline_seconds);

  /// What the model in use was trained on. Of an empty distribution, as older files have it, the bounds remain, and
  /// that nothing may be NaN. Throws InputError if the distribution is of another grid.
  void set_model(const TrainingDistribution& distribution, const Normaliser& normaliser);
  bool has_distribution() const { return has_distribution_; }

  /// Scores the fields that a network read and the physical, bounded values that it answered, and makes the weights.
  /// `is_normalised`: whether the inputs are the network's or physical. `weights_finite`: whether the parameters of
  /// this rank's network are. The outputs are multiplied by the weights; those of weight zero become zero even if they
  /// are NaN. Collective; throws RunError if a peer does not answer in time, never for what the fields hold.
  GuardReport judge(GuardedFields inputs, bool is_normalised, bool weights_finite, float* outputs,
                    std::size_t cell_stride, std::size_t variable_stride);

  /// Weights of the last call on this rank's tiles, in [0, 1], by the host.
  const std::vector<float>& weights() const { return host_weights_; }

 private:
  void fill_halo(const MemoryBuffer<float>& cells, int channels);
  void find_broken(bool inputs, bool weights, GuardReport& report) const;
  float weight_of_sphere(std::int64_t sum);

  Tiling tiling_;
  OwnedCommunicator comm_;
  GuardOptions options_;
  Memory memory_;
  double deadline_;
  GuardGrid grid_;
  DistributedHalo<float> halo_;
  std::size_t cells_;
  bool has_distribution_ = false;
  GuardTables tables_;
  MemoryBuffer<int> band_;
  MemoryBuffer<float> geometry_, mean_, whitening_, target_inverse_;
  MemoryBuffer<float> scale_, shift_, ones_, zeros_;  ///< (inputs)
  MemoryBuffer<float> channels_, scores_, weights_, padded_;
  std::vector<float> host_weights_;
};

}  // namespace tramontane
