/// What a training loop takes its batches from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ml/normaliser.hpp"
#include "ml/trainer.hpp"
#include "ml/training_distribution.hpp"

namespace tramontane {

/// How the hybrid fares on held-out months.
struct RolloutReport {
  int intervals = 0;        ///< of the rollouts
  ValidationReport losses;  ///< of their last interval; no samples when there are none
  std::int64_t lost = 0;    ///< rollouts that did not stay finite
};

/// Batches of one learner rank. All calls but the plain figures are collective over the learners.
class BatchSource {
 public:
  virtual ~BatchSource() = default;

  /// Gets ready for the first step; then the normaliser can be made.
  virtual void prepare() = 0;
  /// Scales of the samples that are at hand before the first step.
  virtual Normaliser normaliser() = 0;
  /// Where the training samples of all ranks lie, of those that have been given so far or of all.
  virtual TrainingDistribution distribution() = 0;
  /// Shows the trainer as it is before the next step, to a source whose batches depend on the weights.
  virtual void observe(const Trainer&) {}
  /// This rank's share of the batch of a step. Steps are asked for in order, counted from 1. The pointers hold until
  /// the next call.
  virtual std::vector<const Sample*> batch(std::int64_t step) = 0;
  /// Comes to the state that batch(1) to batch(step) leave behind, for a training that goes on from a checkpoint: the
  /// order of samples is a function of the step's number and the seed, so nothing of it need be stored. It may be broken off as
  /// batch() may.
  virtual void skip(std::int64_t step) = 0;
  /// Loss over the held-out samples at hand; a report of no samples when there are none.
  virtual ValidationReport validate(Trainer& trainer) = 0;
  /// Loss of the longest rollouts over held-out months with the averaged weights; no samples without rollouts.
  virtual RolloutReport validate_rollouts(Trainer&) { return {}; }
  /// After the last step.
  virtual void finish() = 0;
  /// Whether the last prepare(), skip(), batch() (then empty) or finish() came back before its work was done, on all ranks
  /// together, because the source was made to break off: it is to be called again.
  virtual bool is_interrupted() const { return false; }

  virtual std::int64_t accepted() const = 0;  ///< different training samples that this rank has been given
  virtual std::int64_t drawn() const = 0;     ///< samples of this rank's batches
  virtual std::int64_t at_hand() const = 0;   ///< training samples to draw from, for the reports
  virtual double wait_seconds() const { return 0; }  ///< spent waiting for samples to be read
  virtual std::int64_t lost() const { return 0; }    ///< rollouts of this rank that did not stay finite
};

}  // namespace tramontane
