/// Batches of rollouts for the fine-tuning, after batches of single intervals.
#pragma once

#include <memory>

#include "src/archive/archive_set.hpp"
#include "src/coupled/batch_source.hpp"
#include "src/coupled/epoch_order.hpp"
#include "src/coupled/read_ahead.hpp"
#include "src/coupled/rollout.hpp"
#include "src/coupled/rollout_schedule.hpp"
#include "src/coupled/rollout_starts.hpp"
#include "src/deck/deck.hpp"

namespace tramontane {

/// Steps on single intervals come from another source. In the fine-tuning every rank rolls out its own part of a batch,
/// by itself; starts come in shuffled order by epochs, of each stage's own. A pair is a function of start, weights and
/// the number of intervals, so the batches are the same bits on any number of ranks, and the step's number and the
/// weights are all that a restart needs.
///
/// Rollouts go with the averaged weights. Those are what a model file holds and what forecasts run with, so the states
/// that are trained on are the ones that the hybrid will meet; and they change slowly, so that the states of
/// neighbouring steps are of one sort. The gradient is that of the weights themselves.
class RolloutBatches : public BatchSource {
 public:
  /// @param one_step gives batches before the fine-tuning, and validates on single intervals
  RolloutBatches(const Deck& deck, const ArchiveSet& archives, const RolloutSchedule& schedule,
                 std::unique_ptr<BatchSource> one_step, MPI_Comm learners);

  void prepare() override;
  Normaliser normaliser() override { return one_step_->normaliser(); }
  TrainingDistribution distribution() override { return one_step_->distribution(); }
  void observe(const Trainer& trainer) override;
  std::vector<const Sample*> batch(std::int64_t step) override;
  void skip(std::int64_t step) override;
  ValidationReport validate(Trainer& trainer) override { return one_step_->validate(trainer); }
  RolloutReport validate_rollouts(Trainer& trainer) override;
  void finish() override;
  std::int64_t accepted() const override;
  std::int64_t drawn() const override { return one_step_->drawn() + drawn_; }
  std::int64_t at_hand() const override { return one_step_->at_hand(); }
  double wait_seconds() const override;
  std::int64_t lost() const override { return lost_; }

 private:
  void start_reader(std::int64_t step);
  void stop_reader();
  Sample read(std::int64_t place);
  void set_weights(const Trainer& trainer);
  void report_lost(const Sample& start, int intervals);

  const Deck& deck_;
  const ArchiveSet& archives_;
  RolloutSchedule schedule_;
  std::unique_ptr<BatchSource> one_step_;
  MPI_Comm learners_;
  int rank_ = 0, ranks_ = 1;
  std::int64_t local_batch_ = 0, next_step_ = 1;
  Rollout rollout_;
  Model model_;
  std::vector<Sample> batch_;
  std::vector<Sample> held_out_;  ///< of this rank: start, truth, start, truth, ...
  std::int64_t drawn_ = 0, lost_ = 0;
  double waited_ = 0;
  std::ptrdiff_t stage_ = -1;  ///< that the reader is at
  // Of the reading thread while there is one.
  std::vector<RolloutStart> starts_;
  std::unique_ptr<EpochOrder> order_;
  std::unique_ptr<ReadAhead> reader_;  // last: its thread uses the others
};

}  // namespace tramontane
