/// A learner's part of a snapshot: what it writes when the solver ranks ask, and what it takes up again.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/checkpoint/run_snapshot_store.hpp"
#include "src/checkpoint/sample_store.hpp"
#include "src/checkpoint/training_checkpoint.hpp"
#include "src/coupled/candidate_maker.hpp"
#include "src/coupled/reservoir_batches.hpp"
#include "src/coupled/run_snapshot_link.hpp"
#include "src/program/commands.hpp"

namespace tramontane {

/// One learner's past, read from a snapshot.
struct LearnerPast {
  ReservoirBatchesState batches;  ///< points to `samples`
  std::vector<std::unique_ptr<Sample>> samples;
  std::unordered_map<std::int64_t, std::int64_t> records;  ///< number of a sample to its record in the file of samples
  std::int64_t record_count = 0;
  std::optional<TrainingCheckpoint> training;  ///< nothing before the first step
  CandidateMakerState candidates;              ///< first learner
  double idle_seconds = 0;
  std::string metrics;  ///< first learner: lines of its reports
};

/// Reads the part of this learner from a whole snapshot. Local. Throws RunError when a sample does not match its checksum
/// or is not there.
/// @param n coarse grid
std::unique_ptr<LearnerPast> read_learner_past(const std::string& snapshot, int learner, int n);

/// Serves the solver ranks' orders. On every learner rank.
class LearnerSnapshots {
 public:
  /// @param metrics_path of the first learner's reports
  /// @param continued the past and its snapshot's path, when there is one
  LearnerSnapshots(const CommandContext& context, MPI_Comm learners, SnapshotLink& link, std::string metrics_path,
                   const LearnerPast* past, const std::string& continued);

  /// Whether an order has come to this rank that is not served yet. Passes signals on to the solver. Local, quick.
  bool is_ordered();
  /// Takes all samples that are on their way and writes this rank's part. Collective over the learners, one of which
  /// has an order; the others' is waited for. Returns whether the run ends after it.
  bool serve(ReservoirBatches& batches, CandidateMaker& candidates, const std::optional<TrainingCheckpoint>& training,
             double idle_seconds);
  bool is_stopped() const { return is_stopped_; }
  /// Whether the solver ranks have said that no more orders come.
  bool is_over() const { return is_over_; }

 private:
  SnapshotOrder next_order(SnapshotWord word, const std::function<void()>& meanwhile);
  void write(const std::string& folder, ReservoirBatches& batches, CandidateMaker& candidates,
             const std::optional<TrainingCheckpoint>& training, double idle_seconds);
  std::int64_t record_of(const Sample& sample);

  const Deck& deck_;
  MPI_Comm learners_;
  int rank_ = 0;
  SnapshotLink& link_;
  RunSnapshotStore store_;  ///< for its paths
  std::string metrics_path_;
  std::optional<SnapshotOrder> order_;
  bool is_stopped_ = false, is_over_ = false;
  std::unique_ptr<SampleStore> samples_;
  std::unordered_map<std::int64_t, std::int64_t> records_;
  std::int64_t record_count_ = 0;
  std::int64_t next_ = 1;  ///< orders served by this job, for signs of life
};

}  // namespace tramontane
