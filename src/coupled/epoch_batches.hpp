/// Batches by epochs, in an order shuffled anew for each, read ahead from archives of any size.
#pragma once

#include <memory>

#include "src/archive/archive_set.hpp"
#include "src/coupled/batch_source.hpp"
#include "src/coupled/epoch_order.hpp"
#include "src/coupled/read_ahead.hpp"
#include "src/deck/deck.hpp"

namespace tramontane {

/// Step s takes places (s - 1) batch to s batch - 1 of the sequence of EpochOrder; each rank reads its own part of
/// them. Memory is bounded by learner.read_ahead and the batch, and for held-out samples by learner.reservoir: more than
/// that are read again at every validation.
class EpochBatches : public BatchSource {
 public:
  /// @param steps of the whole training
  /// @param normaliser, distribution of all training samples (made while they were checked)
  EpochBatches(const Deck& deck, const ArchiveSet& archives, std::int64_t steps, Normaliser normaliser,
               TrainingDistribution distribution, MPI_Comm learners);

  void prepare() override;
  Normaliser normaliser() override { return normaliser_; }
  TrainingDistribution distribution() override { return distribution_; }
  std::vector<const Sample*> batch(std::int64_t step) override;
  void skip(std::int64_t step) override;
  ValidationReport validate(Trainer& trainer) override;
  void finish() override { stop_reader(); }
  std::int64_t accepted() const override;
  std::int64_t drawn() const override { return drawn_; }
  std::int64_t at_hand() const override { return static_cast<std::int64_t>(archives_.training().size()); }
  double wait_seconds() const override { return waited_ + (reader_ ? reader_->wait_seconds() : 0); }

 private:
  void start_reader(std::int64_t done_steps);
  void stop_reader();

  const Deck& deck_;
  const ArchiveSet& archives_;
  std::int64_t steps_;
  Normaliser normaliser_;
  TrainingDistribution distribution_;
  MPI_Comm learners_;
  int rank_ = 0, ranks_ = 1;
  std::int64_t local_batch_;
  EpochOrder order_;  ///< of the reading thread while there is one
  std::vector<Sample> batch_, held_out_;
  std::int64_t drawn_ = 0;
  double waited_ = 0;
  std::unique_ptr<ReadAhead> reader_;  // last: its thread uses the others
};

}  // namespace tramontane
