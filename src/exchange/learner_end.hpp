/// The learner job's end of an exchange folder.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "src/coupled/candidate.hpp"
#include "src/exchange/exchange_folder.hpp"
#include "src/exchange/notes.hpp"
#include "src/exchange/run_watch.hpp"
#include "src/exchange/solver_end.hpp"

namespace tramontane {

/// The run that a learner follows: its announcement and its token, as its note tells.
struct FollowedRun {
  RunAnnouncement announcement;
  std::uint64_t token = 0;  ///< that all jobs of the run share
  std::string version;  ///< of the program
  ProcessIdentity identity;
};

/// What a run's note says. Throws InputError when it is of another protocol or lacks something.
FollowedRun read_run(const nlohmann::json& note, const std::string& path);

/// On the first learner rank alone.
class LearnerEnd : public CandidateSink {
 public:
  /// Claims the learner's role. Throws InputError when another learner lives.
  explicit LearnerEnd(const Deck& deck);
  ~LearnerEnd() override;

  /// Waits for a run that lives or has ended in good order. Throws InputError when none comes within exchange.wait.
  /// Returns the run's note (read_run); nothing when a signal ended the wait.
  std::optional<nlohmann::json> attach();

  /// Version of the first weights that this learner publishes: it goes on counting where an earlier one stopped.
  std::int64_t first_version() const { return next_version_; }

  bool is_free() override { return true; }
  /// A file of its own, then the note that names it. A full disk is said, and the learner goes on.
  void publish(std::vector<std::byte> model) override;
  /// When the run is over, or dead and can not go on, what it has not judged counts as not promoted. A run that goes on from
  /// a snapshot may judge anew, and its verdict then counts.
  std::optional<Verdict> verdict() override;
  /// Throws RunError when another learner has taken this one's place meanwhile.
  void beat(std::int64_t step) override;
  void finish() override {}

  /// Says that training waits for a run that is away.
  void hold(std::int64_t step);
  /// The counts of all learner ranks, and how it ended: "done", "stopped" or "failed".
  void end(const std::string& state, std::int64_t taken, std::int64_t rejected);

 private:
  void look();
  void require_claim() const;

  const Deck& deck_;
  ExchangeFolder folder_;
  std::uint64_t token_;
  Claim claim_;
  std::int64_t next_version_;
  std::unique_ptr<RunWatch> watch_;        // over the run attached to; the thread's from then on
  std::string job_token_;                  // of its job that was last seen
  mutable std::mutex mutex_;               // over what the thread writes
  std::deque<Verdict> verdicts_;           // not yet asked for
  std::int64_t judged_ = 0, answered_ = 0; // last versions that the run has judged, and that verdict() has told
  std::int64_t published_ = 0;
  bool run_is_over_ = false;               // or dead, and can not go on
  bool ended_ = false;
  std::unique_ptr<Beacon> beacon_;         // last: its thread uses the others
};

}  // namespace tramontane
