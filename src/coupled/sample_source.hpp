/// Where a learner's samples come from: the stream of a running solver, or archives that earlier runs left.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/archive/archive_reader.hpp"
#include "src/stream/stream.hpp"

namespace tramontane {

/// Samples of one learner rank, in ascending number.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  /// The next sample if one is at hand. Never waits.
  virtual std::optional<Sample> poll() = 0;
  /// The next sample, or nothing at the end. Throws RunError past the source's deadline.
  virtual std::optional<Sample> wait() = 0;
  /// Whether all samples have been taken.
  virtual bool ended() const = 0;
  /// Takes what is left and lets it go; ended() afterwards.
  virtual void discard_rest() = 0;
};

/// Samples that the solver ranks stream to this learner rank.
class StreamSource : public SampleSource {
 public:
  explicit StreamSource(StreamConsumer& consumer) : consumer_(consumer) {}
  std::optional<Sample> poll() override { return consumer_.poll(); }
  std::optional<Sample> wait() override { return consumer_.wait(); }
  bool ended() const override { return consumer_.finished(); }
  void discard_rest() override {
    while (!consumer_.finished() && consumer_.wait()) {
    }
  }

 private:
  StreamConsumer& consumer_;
};

/// Samples of archives, one archive after the other; sample s (counted over all archives) goes to learner s % learners,
/// as in a stream. Samples are renumbered so that numbers ascend over several archives.
class ArchiveSource : public SampleSource {
 public:
  /// Opens and checks every archive: same grid, same interval. Throws InputError naming the archive.
  ArchiveSource(const std::vector<std::string>& paths, int learner, int learners);

  int n() const { return n_; }
  double interval_seconds() const { return interval_; }
  /// Samples of all learners, training or validation ones.
  std::int64_t count(bool validation) const { return validation ? held_out_ : training_; }

  std::optional<Sample> poll() override { return wait(); }
  std::optional<Sample> wait() override;
  bool ended() const override { return next_ >= total_; }
  void discard_rest() override { next_ = total_; }

 private:
  std::vector<std::unique_ptr<ArchiveReader>> archives_;
  std::vector<std::int64_t> first_;  ///< number of each archive's first sample
  std::int64_t next_, total_ = 0, training_ = 0, held_out_ = 0;
  int learners_, n_ = 0;
  double interval_ = 0;
};

}  // namespace tramontane
