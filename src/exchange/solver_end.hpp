/// The solver job's end of an exchange folder.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "src/checkpoint/run_snapshot.hpp"
#include "src/coupled/candidate.hpp"
#include "src/exchange/exchange_folder.hpp"
#include "src/exchange/flush_mark.hpp"
#include "src/exchange/notes.hpp"

namespace tramontane {

/// What a learner must know of the run before it reads a sample.
struct RunAnnouncement {
  std::string run_id, archive, output_dir;  ///< absolute paths
  int n = 0, coarse_n = 0;
  double interval_seconds = 0;
  std::int64_t training = 0, validation = 0;  ///< samples that the run means to make
  bool takes_snapshots = false;               ///< it may go on after its job has ended
};

/// How the samples of a run with two jobs were accounted for, as the solver's side knows it. A run that went on from a snapshot
/// makes the samples behind it again; those that the learner had taken by then it keeps, and they count as archived.
struct ExchangeLedger {
  std::int64_t produced = 0;  ///< made by the solver
  std::int64_t archived = 0;  ///< in the archive, readable
  std::int64_t lost = 0;      ///< made, but not in the archive (disk full)
  std::int64_t taken = 0;     ///< by the learner, all ranks
  std::int64_t rejected = 0;  ///< read by the learner and found damaged
  std::int64_t left = 0;      ///< in the archive, not read
  bool has_learner = false;   ///< whether one has told its counts
  bool closed() const { return produced == archived + lost && archived == taken + rejected + left && left >= 0; }
};
std::string to_string(const ExchangeLedger& ledger);

/// On the first solver rank alone. A thread keeps the solver's note alive, looks at the learner's and fetches new weights,
/// so that the solver never waits for a file system but where it writes its own archive.
class SolverEnd : public CandidateSource {
 public:
  /// Claims the folder for this run. Throws InputError when another run holds it.
  /// @param past of a run that goes on from a snapshot. One that means to (checkpoint.resume) and has found none, because it
  ///        was killed before its first, is the same run to its learner all the same: the same deck makes the same samples.
  SolverEnd(const Deck& deck, const RunAnnouncement& run, const ExchangePast* past = nullptr);
  ~SolverEnd() override;

  /// For ArchiveMeta::on_change.
  void archive_changed(ArchiveChange change, std::int64_t samples);
  /// The archive of a run that goes on had come to its end before: it is read, and not written any more.
  void archive_is_over(ArchiveChange last);
  /// A snapshot has been taken and the run ends here, to go on later: closing its archive is then no end of it.
  void pause() { is_paused_ = true; }
  /// For a snapshot.
  ExchangePast past() const;

  /// The newest version that is whole. Older ones that came meanwhile are answered here as not promoted; a file that is
  /// damaged is refused, said and counted. When another job has taken this one's place meanwhile, ends it (exit code 3).
  std::optional<std::vector<std::byte>> poll() override;
  void answer(const Verdict& verdict) override;
  void take_up(const Verdict& last) override;
  /// Before the lessons are over a learner that is missing may still come. Afterwards the state says lost when the learner
  /// is lost, when none has come within exchange.wait, and when exchange.final_wait is over. Of a run that went on one
  /// that had died before has not come yet: it may be started again as the run was.
  LearnerState learner() override;
  /// The lessons are over: from now on exchange.final_wait runs.
  void expect_signs() override;

  /// Ends the exchange: `state` is "done", "paused" (by a signal, with a snapshot), "stopped" or "failed".
  void finish(const std::string& state);

  /// @param produced samples made
  ExchangeLedger ledger(std::int64_t produced) const;
  std::int64_t refused() const { return refused_; }
  std::int64_t learners_seen() const;

 private:
  /// What the thread has found out of the learner.
  struct Learner {
    std::string token, state;  ///< empty: none has come
    bool is_dead = false;
    std::int64_t step = 0, version = 0, taken = 0, rejected = 0;
    bool has_counts = false;
    std::string who;
  };
  void look();
  void fetch(std::int64_t version, const std::string& token);
  void leave_to_another() const;
  std::uint64_t run_token(const RunAnnouncement& run, const ExchangePast* past) const;

  const Deck& deck_;
  ExchangeFolder folder_;
  std::uint64_t token_;
  Claim claim_;
  std::uint64_t run_;                                 // token that the jobs of one run share
  bool goes_on_, is_paused_ = false;
  FlushMarkWriter mark_;
  mutable std::mutex mutex_;  // over what the thread writes
  Learner learner_;
  BeatWatch watch_;                                   // the thread's
  std::int64_t fetched_ = 0;                          // last version whose bytes were read
  std::string fetched_from_;                          // token of the learner that made it
  std::optional<std::vector<std::byte>> mail_;        // bytes of that version, until poll() takes them
  std::vector<std::int64_t> superseded_;
  std::int64_t learners_seen_ = 0;
  std::string last_learner_;                          // token of the one that was counted last
  std::int64_t refused_ = 0;
  int attempts_ = 0;                                  // to read the version at hand
  Verdict current_;
  nlohmann::ordered_json verdicts_ = nlohmann::ordered_json::array();
  std::optional<double> waiting_since_;
  bool was_lost_ = false, finished_ = false;
  std::unique_ptr<Beacon> beacon_;                    // last: its thread uses the others
};

}  // namespace tramontane
