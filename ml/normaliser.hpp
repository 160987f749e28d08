/// Scales of inputs and targets: what makes a network's numbers of order one, and bounds its outputs.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <vector>

#include "kernels/sample.hpp"

namespace tramontane {

/// Inputs enter the network as (x - input_mean) / input_std, targets as y / target_std: no mean is taken off a target,
/// so that a network that says zero corrects nothing. Outputs are clamped to +- bound, in the target's unit.
struct Normaliser {
  std::vector<double> input_mean, input_std, target_std, bound;
  std::int64_t samples = 0;  ///< from how many samples
  bool operator==(const Normaliser&) const = default;
};

/// Area-weighted mean, variance and extremes over samples, one pass (West 1979), mergeable (Chan et al. 1983).
class NormaliserStatistics {
 public:
  /// area: (6, n, n), any unit; inputs and targets: numbers of variables.
  NormaliserStatistics(std::vector<double> area, int inputs, int targets);
  /// Throws RunError when a value is not finite, naming sample and variable number.
  void add(const Sample& sample);
  void merge(const NormaliserStatistics& other);
  /// Collective: merges all ranks' statistics in rank order, the same bits on every rank.
  void reduce(MPI_Comm comm, double deadline_seconds);
  /// Bounds are bound_factor times the largest magnitude seen of each target. A constant channel gets a standard
  /// deviation of one. Throws RunError without samples.
  /// Vectors (kInputVector, kTargetVector) have no mean taken off and one scale for their three components, their
  /// common root mean square, so that turning them commutes with scaling them.
  Normaliser finish(double bound_factor) const;
  std::int64_t samples() const { return samples_; }

 private:
  struct Moments {
    double weight = 0, mean = 0, squares = 0, largest = 0;  ///< squares: sum of weight * (x - mean)^2
    void add(double value, double w);
    void merge(const Moments& other);
  };
  std::vector<double> area_;
  int inputs_, targets_;
  std::int64_t samples_ = 0;
  std::vector<Moments> moments_;  ///< inputs, then targets
};

}  // namespace tramontane
