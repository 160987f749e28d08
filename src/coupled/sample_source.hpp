/// Where a learner's samples come from: the stream of a running solver, or archives that earlier runs left.
#pragma once

#include "src/archive/archive_set.hpp"
#include "src/stream/stream.hpp"

namespace tramontane {

/// Samples of one learner rank, in ascending number.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  /// Gives a sample memory that the source fills without a copy; false when it has none (left).
  virtual bool lend(Sample&) { return false; }
  /// Puts the next sample into `into`, whose memory is used again, if one is at hand. Never waits.
  virtual bool poll(Sample& into) = 0;
  /// The same, waiting for it; false at the end, or when the source was made to break off. Throws RunError past the
  /// source's deadline.
  virtual bool wait(Sample& into) = 0;
  /// Whether all samples have been taken.
  virtual bool ended() const = 0;
  /// Takes what is left and lets it go; ended() afterwards, unless it was made to break off.
  virtual void discard_rest() = 0;
};

/// Samples that the solver ranks stream to this learner rank.
class StreamSource : public SampleSource {
 public:
  /// @param breaks_off asked during waits: when it says yes they end
  explicit StreamSource(StreamConsumer& consumer, std::function<bool()> breaks_off = {})
      : consumer_(consumer), breaks_off_(std::move(breaks_off)) {}
  bool lend(Sample& sample) override { return consumer_.lend(sample); }
  bool poll(Sample& into) override { return consumer_.poll(into); }
  bool wait(Sample& into) override { return consumer_.wait(into, {}, breaks_off_); }
  bool ended() const override { return consumer_.finished(); }
  void discard_rest() override {
    Sample unused;
    while (!consumer_.finished() && wait(unused)) {
    }
  }

 private:
  StreamConsumer& consumer_;
  std::function<bool()> breaks_off_;
};

/// A stream that had come to its end before the run was continued.
class EndedSource : public SampleSource {
 public:
  bool poll(Sample&) override { return false; }
  bool wait(Sample&) override { return false; }
  bool ended() const override { return true; }
  void discard_rest() override {}
};

/// Samples of archives in the order of their list; sample s goes to learner s % learners, as in a stream.
class ArchiveSource : public SampleSource {
 public:
  ArchiveSource(const ArchiveSet& archives, int learner, int learners)
      : archives_(archives), next_(learner), learners_(learners) {}

  bool poll(Sample& into) override { return wait(into); }
  bool wait(Sample& into) override;
  bool ended() const override { return next_ >= archives_.size(); }
  void discard_rest() override { next_ = archives_.size(); }

 private:
  const ArchiveSet& archives_;
  std::int64_t next_;
  int learners_;
};

}  // namespace tramontane
