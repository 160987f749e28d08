/// Where the samples lay that a network was trained on, for the guard that watches it at work.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <vector>

#include "kernels/guard_features.hpp"
#include "kernels/sample.hpp"

namespace tramontane {

/// Of the inputs: mean and covariance of the features of a cell (kernels/guard_features.hpp) by belts of latitude. Of
/// the targets: mean squares about each cell, since a coarse solver's error is a matter of place (mountains) more than
/// of latitude. Empty in models from before there was one.
struct TrainingDistribution {
  int n = 0, bands = 0;              ///< cells per panel edge; belts of equal width in latitude, the southernmost first
  std::vector<float> mean;           ///< (bands, kGuardFeatures)
  std::vector<float> whitening;      ///< (bands, kGuardFeatures (kGuardFeatures + 1) / 2): rows of a lower triangle W
                                     ///< such that |W (x - mean)|^2 has the mean 1 over the training cells of the belt
  std::vector<float> target_square;  ///< (2, 6, n, n): of the first target, of the vector of the next three

  bool empty() const { return bands == 0; }
  /// Whether the arrays are as long as n and bands say.
  bool has_right_sizes() const;
  bool operator==(const TrainingDistribution&) const = default;
};

/// What the numbers of a distribution are of, in files: of any other text a distribution is not for this program's guard.
inline constexpr const char* kGuardFeatureNames =
    "height, eastward, northward, slope eastward, slope northward, vorticity, divergence, roughness of height, of "
    "eastward, of northward";

/// Centres of the cells of a sphere on the unit sphere: (3, 6, n, n), x, y and z.
using CellPositions = std::vector<float>;

inline constexpr int kGuardTriangle = kGuardFeatures * (kGuardFeatures + 1) / 2;

/// What the features of the cells of a sphere need: belts, neighbours and geometry, in the order (6, n, n).
struct GuardGrid {
  int n = 0, bands = 0;
  std::vector<int> band;           ///< (6, n, n)
  std::vector<int> neighbour;      ///< (6, n, n, 4): west, east, south, north, as places in (6, n, n)
  std::vector<float> geometry;     ///< (6, n, n, kGuardGeometry)

  GuardGrid() = default;
  /// Throws InputError unless there are 18 n^2 numbers for a whole n.
  explicit GuardGrid(const CellPositions& positions);
  int cells() const { return static_cast<int>(band.size()); }
};

/// Gathers a distribution in one pass over samples; parts of it merge (Chan et al. 1983).
class DistributionStatistics {
 public:
  explicit DistributionStatistics(const CellPositions& positions);

  /// Takes a sample of the variables of sample_inputs() and sample_targets() on this grid. Throws RunError if it has
  /// another size or a value that is not finite.
  void add(const Sample& sample);
  void merge(const DistributionStatistics& other);
  /// Collective: merges all ranks' statistics in rank order, the same bits on every rank.
  void reduce(MPI_Comm comm, double deadline_seconds);
  /// All that was gathered as a row of numbers, and back, for snapshots. restore() throws RunError if it is another
  /// grid's.
  std::vector<double> numbers() const;
  void restore(const std::vector<double>& numbers);
  /// Empty without samples.
  TrainingDistribution finish() const;
  std::int64_t samples() const { return samples_; }

 private:
  /// Cells, means and products of deviations of a belt, in one row of numbers.
  static constexpr int kRow = 1 + kGuardFeatures + kGuardTriangle;
  void clear();
  static void merge_row(const double* from, double* to);
  void merge_numbers(const std::vector<double>& belts, const std::vector<double>& squares, std::int64_t samples);

  GuardGrid grid_;
  std::vector<int> order_;       ///< cells, belt by belt
  std::vector<int> belt_begin_;  ///< (bands + 1) into order_
  std::int64_t samples_ = 0;
  std::vector<double> belts_;    ///< (bands, kRow)
  std::vector<double> squares_;  ///< (2, 6, n, n): sums over samples
  std::vector<float> channels_;  ///< (6, n, n, kGuardChannels) of the sample at hand
};

}  // namespace tramontane
