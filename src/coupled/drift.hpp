/// Whether the samples that arrive still look like those that the network was scaled by and is trained on.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/sample.hpp"
#include "ml/normaliser.hpp"

namespace tramontane {

/// Area-weighted mean and sum of squared deviations of every channel (inputs, then targets) over one or more samples of
/// one grid. Merging is Chan's formula (Chan, Golub and LeVeque 1983); each sample weighs one.
struct ChannelMoments {
  double samples = 0;
  std::vector<double> mean, squares;  ///< squares: per unit of area, summed over samples

  ChannelMoments() = default;
  /// Of one sample; area: (6, n, n), any unit.
  ChannelMoments(const Sample& sample, const std::vector<double>& area);
  void merge(const ChannelMoments& other);
  /// Sums of all ranks, merged in the order of ranks: the same bits on every rank. Collective.
  ChannelMoments reduced(MPI_Comm comm) const;
};

/// One look at the samples that have arrived since the last one, over all learners.
struct DriftReport {
  std::int64_t step = 0, samples = -1;  ///< samples: -1 before the first look
  /// Greatest over the channels of |difference of means| over the reference's standard deviation and of |ln ratio of
  /// standard deviations|: 0 is no drift, 1 is a shift by one standard deviation or a spread e times as large.
  double against_normaliser = 0, against_reservoir = 0;
  std::string channel;  ///< the one that tells of the greatest drift against the normaliser
};

/// Mean and scale of a channel by the normaliser's rules: vectors have no mean and one scale, their root mean square;
/// so have single targets; a constant channel has the scale one.
struct ChannelScales {
  std::vector<double> mean, scale;  ///< inputs, then targets
  explicit ChannelScales(const ChannelMoments& moments);
  explicit ChannelScales(const Normaliser& normaliser);
};

/// The drift of `now` against `reference`, and the channel (number among inputs, then targets) where it is greatest.
double drift_between(const ChannelScales& now, const ChannelScales& reference, std::size_t* channel = nullptr);

}  // namespace tramontane
