/// Samples of an archive that another job is still writing.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "src/archive/archive_reader.hpp"
#include "src/coupled/sample_source.hpp"
#include "src/exchange/flush_mark.hpp"
#include "src/exchange/learner_end.hpp"
#include "src/exchange/run_watch.hpp"

namespace tramontane {

/// What a learner rank needs to follow a run.
struct FollowingTerms {
  std::string archive, mark, note;  ///< paths: the archive, its mark, the run's note
  std::uint64_t run = 0;            ///< token
  bool takes_snapshots = false;     ///< the run may go on after its job has ended
  int coarse_n = 0;                 ///< that the archive must have
  double interval_seconds = 0;
  double silence_seconds = 60;
  int learner = 0, learners = 1;    ///< this rank takes rows learner, learner + learners, ...
};

/// Local: every learner rank follows on its own. A sample is handed out when the run has said that it is whole, when it
/// was read while the file's structure did not change, and when its checksum fits. What does not fit is read again; when
/// it still does not though the file has not changed, the sample is rejected and counted.
///
/// A run that takes snapshots and is away (it was stopped, or has died) may come back, and makes the samples behind its
/// snapshot again, with the same bits: each is handed out once. Until then the source breaks off.
class FollowedArchiveSource : public SampleSource {
 public:
  /// How following ended.
  enum class End {
    none,       ///< it has not
    completed,  ///< the run closed its archive
    early,      ///< the run ended its archive early (a full disk, a signal)
    dead,       ///< the run has died
    replaced,   ///< another run has taken the folder
    stopped,    ///< a signal to this job
  };

  explicit FollowedArchiveSource(FollowingTerms terms);

  bool poll(Sample& into) override;
  /// Waits as long as the run lives and no signal comes. Throws RunError when the archive can not be opened for as long as
  /// silence would count as death, though the run says that it is there.
  bool wait(Sample& into) override;
  bool ended() const override { return end_ != End::none && next_ >= samples_; }
  void discard_rest() override { samples_ = 0, end_ = end_ == End::none ? End::stopped : end_; }

  /// Whether the run is away, or a signal has ended a wait: then there is no use in asking, until go_on() is called.
  bool breaks_off() const { return breaks_off_ && end_ == End::none; }
  void go_on();
  /// Looks whether a run that was away is there again, or nothing is to be expected of it any more.
  bool is_run_back() { return watch_.look() != RunSight::away; }
  std::string why_away() const { return watch_.why_away(); }

  End end() const { return end_; }
  std::int64_t taken() const { return taken_; }
  std::int64_t rejected() const { return rejected_; }
  double idle_seconds() const { return idle_seconds_; }

 private:
  bool read_next(const FlushState& state, Sample& into);
  bool open(const FlushState& state);
  void look_at_run();
  void stop_here(End why, std::int64_t samples);
  void retry_later(const std::string& problem, bool is_sample);

  FollowingTerms terms_;
  FlushMarkReader mark_, guard_;
  RunWatch watch_;
  bool breaks_off_ = false;
  double looked_ = 0;
  std::unique_ptr<ArchiveReader> reader_;
  std::uint64_t generation_ = 0;  // of the structure that reader_ saw
  std::int64_t next_ = 0, samples_ = 0, taken_ = 0, rejected_ = 0;
  End end_ = End::none;
  int failures_ = 0;              // in a row, of one generation
  double failing_since_ = 0;
  double not_before_ = 0;         // next attempt
  double idle_seconds_ = 0;
};

}  // namespace tramontane
