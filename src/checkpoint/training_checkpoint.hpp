/// A training on disk: what it takes to go on as if it had never stopped.
///
/// One HDF5 file behind a seal (file_seal.hpp): datasets parameters, first_moment, second_moment, average, best_weights
/// (flat, as the network lays them out), the normaliser's, and recent_losses; everything else as attributes of the root.
/// The order of samples and all random numbers are functions of the step and the seed (EpochOrder, Reservoir), so the
/// step is all that is kept of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "ml/normaliser.hpp"
#include "ml/optimiser.hpp"

namespace tramontane {

/// Counted from 101, so that the checkpoint of a solver run (format 2) is never taken for one of these. 102: rollouts.
inline constexpr int kTrainingCheckpointFormat = 102;

/// What a training must share with the one that left the checkpoint.
struct TrainingIdentity {
  int n = 0;
  double interval_seconds = 0;
  std::int64_t parameters = 0;
  std::uint64_t network = 0;        ///< sum over names and shapes of the network's parameter blocks
  std::uint64_t initial = 0;        ///< sum over the weights of the model continued from; 0 without one
  std::int64_t samples = 0;         ///< good ones, training and held out
  std::uint64_t sample_marks = 0;   ///< ArchiveSet::fingerprint
  std::string settings;             ///< lines "key = value" of the deck that decide the result
  int learners = 1;                 ///< ranks
  bool depends_on_learners = true;  ///< whether samples are dealt out by ranks (order stream)
};

/// What a training knows beside weights and optimiser.
struct TrainingProgress {
  double loss_first = 0, held_out_loss = 0;
  bool is_validated = false;
  double best_loss = 0;
  std::int64_t best_step = -1;  ///< -1: no validation yet
  std::int64_t since_best = 0;  ///< validations
  double seconds = 0;           ///< of training steps
  double rollout_loss_first = 0, rollout_loss = 0;  ///< of rollouts on held-out months: at the start, the latest
  std::int64_t rollouts_lost = 0;                   ///< rollouts that did not stay finite
  std::vector<double> recent_losses;
  std::vector<float> best_weights;  ///< averaged weights of best_step; empty when they are not kept
};

struct TrainingCheckpoint {
  TrainingIdentity identity;
  std::string version;  ///< of the program
  OptimiserState optimiser;
  Normaliser normaliser;
  TrainingProgress progress;
};

/// Throws InputError, in one sentence that begins with the file's name, unless a training that `own` describes can
/// continue from the checkpoint with the same result. Another number of ranks is accepted where batches do not depend
/// on it.
void check_fits(const TrainingCheckpoint& checkpoint, const TrainingIdentity& own, const std::string& path);

/// Writes beside the path as PATH.part, seals, brings to the disk, renames. On one rank. When anything fails the part is
/// removed, the path keeps what it held, and RunError is thrown.
void write_training_checkpoint(const std::filesystem::path& path, const TrainingCheckpoint& checkpoint);

/// The file must have passed check_seal. Throws RunError.
TrainingCheckpoint read_training_checkpoint(const std::filesystem::path& path);

}  // namespace tramontane
