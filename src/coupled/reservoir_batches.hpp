/// Batches drawn from a reservoir that a source of samples fills: the coupled run, and train in the stream's order.
#pragma once

#include <deque>
#include <functional>

#include "ml/reservoir.hpp"
#include "src/coupled/batch_source.hpp"
#include "src/coupled/sample_source.hpp"
#include "src/deck/deck.hpp"

namespace tramontane {

/// Training starts when learner.watermark samples are in; the normaliser is made from those. With learner.deterministic
/// the number of a step alone decides which samples it may draw from, so that a trajectory of weights does not depend on
/// when samples arrived; otherwise whatever has arrived is used.
class ReservoirBatches : public BatchSource {
 public:
  /// @param steps of the whole training
  /// @param training, validation samples of all learners
  /// @param source_ended called once, on all ranks, as soon as every rank has taken its last sample
  /// @param area cell areas (6, n, n), for the normaliser
  ReservoirBatches(const Deck& deck, SampleSource& source, std::int64_t steps, std::int64_t training,
                   std::int64_t validation, std::vector<double> area, MPI_Comm learners, bool show_progress,
                   std::function<void()> source_ended = {});

  void prepare() override;
  Normaliser normaliser() override;
  TrainingDistribution distribution() override;
  std::vector<const Sample*> batch(std::int64_t step) override;
  void skip(std::int64_t step) override;
  ValidationReport validate(Trainer& trainer) override;
  void finish() override;
  std::int64_t accepted() const override { return reservoir_.accepted(); }
  std::int64_t drawn() const override { return reservoir_.drawn(); }
  std::int64_t at_hand() const override { return static_cast<std::int64_t>(reservoir_.size()); }

 private:
  ReservoirOptions reservoir_options() const;
  std::int64_t admitted_at(std::int64_t step) const;
  void take_in();
  bool wait_for_one();
  bool place_first();
  void meet_other_learners();
  void agree_on_end();
  void admit(std::int64_t limit);

  const Deck& deck_;
  SampleSource& source_;
  std::int64_t steps_, training_, validation_;
  std::vector<double> area_;
  MPI_Comm learners_;
  bool show_progress_;
  std::function<void()> source_ended_;
  int rank_ = 0, learner_count_ = 1;
  std::size_t local_batch_;
  Reservoir reservoir_;
  DistributionStatistics statistics_;  ///< of every training sample that came into the reservoir
  std::deque<Sample> waiting_;
  std::int64_t next_number_ = 0, start_number_ = 0;
  bool told_end_ = false;
};

}  // namespace tramontane
