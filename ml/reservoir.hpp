/// The learner's store of samples.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/sample.hpp"

namespace tramontane {

enum class DrawOrder {
  with_replacement,  ///< every draw is independent
  shuffled_epochs    ///< every sample that is stored when an epoch begins comes once in it, in a new order
};

struct ReservoirOptions {
  std::size_t capacity = 1000;            ///< training samples
  std::size_t validation_capacity = 200;  ///< held-out samples, stored apart
  std::size_t watermark = 32;             ///< training starts when that many are stored
  DrawOrder order = DrawOrder::with_replacement;
  std::uint64_t seed = 1;
};

/// Everything that decides what a reservoir does next.
struct ReservoirState {
  std::vector<const Sample*> training;  ///< in the order of the store
  std::vector<std::int64_t> uses;       ///< draws of each of them
  std::vector<const Sample*> validation;
  std::vector<std::uint64_t> order;  ///< what is left of an epoch, drawn from the back (shuffled_epochs)
  std::uint64_t draw_counter = 0;
  std::int64_t accepted = 0, evicted = 0, refused = 0, drawn = 0, validation_dropped = 0;
};

/// Fixed capacity. A sample that has not been drawn yet is never thrown away: when the store is full, a random one
/// among those already drawn makes room, and if there is none the newcomer is refused (back-pressure). After Melissa's
/// reservoir (Meyer et al. 2023). Not for use by several threads at once.
class Reservoir {
 public:
  /// Throws InputError when the watermark exceeds the capacity or the capacity is zero.
  explicit Reservoir(ReservoirOptions options);

  /// Stores the sample, apart if it is a validation sample; false if there is no room for it now. Validation samples
  /// beyond their capacity are counted and let go (true), since training never waits for them.
  bool add(Sample sample);
  /// The same without a copy, for samples whose memory is used again: on true the sample has been taken, and what was
  /// evicted for it (or a validation sample that was let go) is left in its place; null when nothing was.
  bool add(std::unique_ptr<Sample>& sample);
  bool ready() const { return training_.size() >= options_.watermark; }
  /// `count` samples, repeatable from the seed and the order of additions. Pointers hold until the next add. Throws
  /// RunError when empty.
  std::vector<const Sample*> draw(std::size_t count);

  /// All stored training samples, in the order of the store. Pointers hold until the next add.
  std::vector<const Sample*> samples() const {
    std::vector<const Sample*> all;
    for (const Entry& entry : training_) all.push_back(entry.sample.get());
    return all;
  }
  std::size_t size() const { return training_.size(); }
  std::size_t unseen() const { return unseen_; }
  const std::vector<std::unique_ptr<Sample>>& validation() const { return validation_; }
  std::int64_t accepted() const { return accepted_; }  ///< training samples ever stored
  std::int64_t evicted() const { return evicted_; }
  std::int64_t refused() const { return refused_; }
  std::int64_t validation_dropped() const { return validation_dropped_; }
  std::int64_t drawn() const { return drawn_; }
  /// Draws per training sample stored.
  double reuse_factor() const {
    return accepted_ == 0 ? 0.0 : static_cast<double>(drawn_) / static_cast<double>(accepted_);
  }
  std::size_t bytes() const;  ///< of the samples' fields

  /// What restore() needs to draw and evict the same samples from here on. The pointers hold until the next add.
  ReservoirState state() const;
  /// Takes copies of the state's samples. Throws RunError, and changes nothing, when it does not fit these options.
  void restore(const ReservoirState& state);

 private:
  struct Entry {
    std::unique_ptr<Sample> sample;
    std::int64_t uses = 0;
  };
  void shuffle();
  bool add_validation(std::unique_ptr<Sample>& sample);

  ReservoirOptions options_;
  std::vector<Entry> training_;
  std::vector<std::unique_ptr<Sample>> validation_;
  std::vector<std::size_t> order_;
  std::size_t unseen_ = 0;
  std::uint64_t draw_counter_ = 0;
  std::int64_t accepted_ = 0, evicted_ = 0, refused_ = 0, drawn_ = 0, validation_dropped_ = 0;
};

}  // namespace tramontane
