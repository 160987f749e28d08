/// The solver ranks' part of a snapshot: when one is due, and how it is taken.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "src/archive/archive_writer.hpp"
#include "src/checkpoint/checkpoint.hpp"
#include "src/checkpoint/run_snapshot_store.hpp"
#include "src/coupled/gate.hpp"
#include "src/coupled/run_snapshot_link.hpp"
#include "src/coupled/solver_pair.hpp"
#include "src/coupled/solver_report.hpp"
#include "src/exchange/solver_end.hpp"
#include "src/output/summary.hpp"
#include "src/program/commands.hpp"
#include "src/stream/stream_producer.hpp"

namespace tramontane {

/// On all solver ranks. A snapshot is taken between two samples, or after the lessons between two leads of a forecast:
/// the first solver rank tells the learners, all solver ranks drain the stream and write the fine state, the learners
/// take in what has come and write their part; when all is on the disk, the first solver rank writes the manifest. A
/// learner that is a job of its own takes no part: it has the archive, and checkpoints.
class SolverSnapshots {
 public:
  /// What a snapshot takes from.
  struct Parts {
    StreamProducer* stream = nullptr;  ///< null once the stream is closed, or of a continued run that it was closed in
    ArchiveWriter* archive = nullptr;
    Gate* gate = nullptr;
    BudgetWatch* watch = nullptr;
  };

  /// Collective over the solver ranks.
  /// @param link to the learners; null: there are none in this job
  /// @param exchange on the first rank of a run whose learner is a job of its own: null elsewhere
  /// @param continued the snapshot that the run goes on from and its path, when there is one
  SolverSnapshots(const CommandContext& context, SolverPair& pair, SnapshotLink* link, SolverEnd* exchange,
                  std::string metrics_path, const RunSnapshot* continued, const std::string& path);

  void set_parts(const Parts& parts) { parts_ = parts; }
  /// From now on the lessons are over and the stream is closed, with these counts. The fine solver's progress and drifts
  /// are kept as they are now: forecasts that a snapshot cuts short are run again.
  void lessons_are_over(const LessonPlace& place, const Ledger& ledger);

  /// Takes a snapshot if clock, model time or a signal asks for it, or `always`. Returns whether the run ends here, by a
  /// signal. When a snapshot can not be written the run may go on: the first rank warns. Collective.
  bool consider(const LessonPlace& place, bool always = false);
  /// The same after the lessons.
  bool consider(bool always = false) { return consider(end_, always); }
  bool is_stopped() const { return is_stopped_; }
  /// Why the snapshot that was to be the last could not be written; "" when it was.
  const std::string& failure() const { return failure_; }
  SnapshotSummary summary() const;

  /// Tells the learners that no more snapshots come.
  void end();

 private:
  bool is_due(const LessonPlace& place) const;
  bool take(const LessonPlace& place, bool stop);
  std::string drain();
  std::string write_parts(const RunSnapshot& snapshot, Ledger& ledger);
  void write_archive_structure(const std::string& folder) const;
  std::string await_learners(std::int64_t number, std::int64_t& step);
  bool is_root() const { return context_.is_root(); }

  const CommandContext& context_;
  const Deck& deck_;
  SolverPair& pair_;
  SnapshotLink* link_;
  SolverEnd* exchange_;
  RunSnapshotStore store_;
  std::string metrics_path_, last_, failure_;
  std::int64_t next_ = 1, taken_ = 0;
  std::vector<RunRestart> restarts_;
  std::string run_id_;
  Parts parts_;
  LessonPlace end_;
  bool lessons_done_ = false, is_stopped_ = false, is_ended_ = false, has_warned_ = false;
  Ledger ledger_;                ///< once the lessons are over
  std::int64_t archived_ = -1;   ///< likewise
  std::optional<Checkpoint> at_end_;
  double clock_ = 0, stalled_before_ = 0, seconds_ = 0;
  std::int64_t periods_ = 0;     ///< of checkpoint.every that have gone by
};

}  // namespace tramontane
