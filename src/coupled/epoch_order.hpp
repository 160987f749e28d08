/// The order of samples in training by epochs.
#pragma once

#include <cstdint>
#include <vector>

namespace tramontane {

/// An endless sequence over `count` samples, epoch after epoch, each a permutation of its own that depends on the seed
/// and the epoch's number alone. So the place in the sequence is all the state there is, and the sequence is the same
/// on any number of ranks.
class EpochOrder {
 public:
  EpochOrder(std::int64_t count, std::uint64_t seed) : count_(count), seed_(seed) {}

  std::int64_t epoch_of(std::int64_t position) const { return position / count_; }
  /// The sample, 0 .. count - 1, at a position of the sequence, counted from 0. Quick when positions come in order.
  std::int64_t at(std::int64_t position);

 private:
  void shuffle(std::int64_t epoch);

  std::int64_t count_;
  std::uint64_t seed_;
  std::int64_t epoch_ = -1;
  std::vector<std::int64_t> order_;  ///< of that epoch
};

}  // namespace tramontane
