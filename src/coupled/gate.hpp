/// The gate through which new weights come into the solver: judged, promoted, watched, rolled back.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "src/coupled/candidate.hpp"
#include "src/coupled/gate_state.hpp"
#include "src/coupled/live_hybrid.hpp"
#include "src/coupled/shadow_cases.hpp"
#include "src/output/metrics.hpp"
#include "src/output/summary.hpp"

namespace tramontane {

/// On all solver ranks, which take every decision together: the first one asks the source and tells the others, and
/// what is decided rests on sums that are the same on all of them. The version in use changes between two samples, on
/// all ranks at the same one. No learner is waited for but in await_last().
///
/// A candidate is promoted if its file is whole and fits, its held-out loss beats that of the version in use, and so
/// does its error in the shadow forecasts (1: the coarse solver alone, which is in use at first). A version that turns
/// bad is rolled back to the one before, and never comes back.
///
/// With learner.deterministic candidates are judged in their order when the lessons are over, and no live hybrid runs:
/// when a candidate arrives is a matter of timing, and nothing may depend on that.
class Gate {
 public:
  /// Collective over the solvers. `source` is null but on their first rank, `metrics` may be.
  Gate(const Deck& deck, SolverPair& solvers, CandidateSource* source, MetricsWriter* metrics);

  /// The fine state on the coarse grid at a sample's time, during lessons. Keeps shadow cases, goes on with the live
  /// hybrid, and rolls back what it finds bad. Collective.
  void see(const SampleInfo& info, const FieldsOnDemand& truth);
  /// Takes what candidates there are and judges them. `sample` is the number of the next one. Collective.
  void poll(std::int64_t sample);
  /// No more lessons: candidates are judged from now on whatever cases there are.
  void end_lessons();
  /// Waits for the learner's last candidate, judging what comes; returns early when the learner is lost. On the first
  /// rank, `on_beat(step)` is called about every half minute. With `judge` = false candidates are only kept. Collective.
  /// `between` is asked on every rank after each look; the wait ends when it says yes.
  void await_last(bool judge, const std::function<void(std::int64_t)>& on_beat,
                  const std::function<bool()>& between = {});

  /// The correction in use; null: physics alone. Valid until the version changes.
  HybridCorrection* correction() { return versions_.empty() ? nullptr : versions_.back().correction.get(); }
  std::int64_t version() const { return versions_.empty() ? 0 : versions_.back().facts.version; }
  /// Goes back to the version before the one in use, or to physics alone. Collective in effect: to be called on all
  /// solver ranks alike.
  void roll_back(const std::string& why);

  /// First rank: takes in what messages there are, so that their sender can go on; judges nothing. Never waits. Returns
  /// whether the learner is there as far as is known.
  bool listen() { return !source_ || !source_->learner().is_lost; }
  bool learner_is_lost() const { return !lost_.empty(); }
  /// Lost, but the stream to it can be ended as ever.
  bool learner_takes_samples() const { return takes_samples_; }
  /// Why the learner counts as lost; the same on all ranks.
  const std::string& why_lost() const { return lost_; }
  /// On all ranks alike: they have found out themselves that the learner is lost.
  void set_lost(const std::string& why);
  /// First rank: it has found that out, and tells the others at the next poll().
  void tell_lost(const std::string& why) { found_lost_ = why; }

  /// For a snapshot: on the first rank; of the others it is empty. Collective.
  GateState state() const;
  /// Goes on where another run's gate stood. Candidates that it has judged may come once more; they are let go. The first
  /// rank's state counts. Call it first. Collective.
  void restore(GateState state);

  GateSummary summary() const;
  /// Writes the version in use as learner.model, with what the gate found in its provenance, and beside it the last
  /// candidate where that is another. When a signal has ended the run before any was promoted, the last candidate is
  /// kept as learner.model, unjudged. Files of these names from an earlier run go. Call on one rank.
  void save_models(const std::string& folder, bool is_stopped) const;

 private:
  struct Version {
    CandidateFacts facts;
    Model model;
    std::unique_ptr<HybridCorrection> correction;
    std::vector<double> scores;  ///< by shadow case
    std::int64_t since_sample = 0;
  };
  /// How a candidate fared.
  struct Finding {
    bool is_promoted = false;
    std::string why;
    std::optional<double> shadow_score, current_score;
    int cases = 0;
  };
  struct Word;

  bool is_ready() const;
  bool take_one(bool judge);
  std::optional<std::vector<std::byte>> next_candidate();
  Word share(Word word) const;
  void share_bytes(std::vector<std::byte>& bytes, std::int64_t size) const;
  void take_back();
  void judge(const std::vector<std::byte>& bytes);
  Finding weigh(Version& candidate);
  void spoil(Version& version);
  std::string shadow(Version& version);
  double score(const Version& version) const;
  double current_loss() const { return versions_.empty() ? 1.0 : versions_.back().facts.relative_loss().value_or(1.0); }
  void report(const CandidateFacts& facts, const Finding& finding, double seconds);
  void answer(std::int64_t version, bool is_promoted);
  bool is_root() const { return rank_ == 0; }

  const Deck& deck_;
  SolverPair& solvers_;
  CandidateSource* source_;
  MetricsWriter* metrics_;
  int rank_ = 0;
  ShadowCases cases_;
  std::unique_ptr<LiveHybrid> live_;
  std::deque<Version> versions_;  ///< promoted ones, the one in use last
  std::optional<std::vector<std::byte>> held_;  ///< first rank: to be judged when there are cases
  std::optional<Model> last_;     ///< of the last candidate that could be read
  std::int64_t sample_ = 0, last_version_ = 0;
  std::int64_t judged_before_ = 0;  ///< the last version that was judged before the run was continued
  bool lessons_over_ = false, is_done_ = false, takes_samples_ = false;
  std::string lost_, found_lost_;
  GateSummary counts_;
};

}  // namespace tramontane
