/// Batches drawn from a reservoir that a source of samples fills: the coupled run, and train in the stream's order.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>

#include "ml/reservoir.hpp"
#include "src/coupled/batch_source.hpp"
#include "src/coupled/delivery_record.hpp"
#include "src/coupled/drift.hpp"
#include "src/coupled/sample_source.hpp"
#include "src/deck/deck.hpp"

namespace tramontane {

/// Everything that decides which samples come next, between two steps. The pointers hold until the next batch.
struct ReservoirBatchesState {
  ReservoirState reservoir;
  std::vector<const Sample*> waiting;  ///< taken from the source, not yet in the reservoir
  bool is_filled = false;              ///< prepare() had come to its end
  std::int64_t step = 0;               ///< the last one that was asked for
  std::int64_t next_number = 0, start_number = 0;
  std::vector<Delivery> deliveries;
  ChannelMoments arrived;            ///< since the last look at the drift
  std::vector<double> distribution;  ///< DistributionStatistics::numbers
};

/// Training starts when learner.watermark samples are in; the normaliser is made from those. With learner.deterministic
/// the number of a step alone decides which samples it may draw from, so that a trajectory of weights does not depend
/// on when samples arrived; otherwise whatever has arrived is used.
///
/// The memory for samples is taken at the start: reservoir, held-out samples and a waiting list as long as the
/// reservoir, or all samples that are announced for this learner where these are fewer. It is the source's where that
/// fills it without a copy (SampleSource::lend).
class ReservoirBatches : public BatchSource {
 public:
  /// @param steps of the whole training
  /// @param training, validation samples of all learners, at most
  /// @param source_ended called once, on all ranks, as soon as every rank has taken its last sample
  /// @param area cell areas (6, n, n), for the normaliser
  ReservoirBatches(const Deck& deck, SampleSource& source, std::int64_t steps, std::int64_t training,
                   std::int64_t validation, std::vector<double> area, MPI_Comm learners, bool show_progress,
                   std::function<void()> source_ended = {});

  /// Takes over the past of another training, which then goes on as that one would have; call it before prepare(),
  /// which then fills up only what is lacking, as skip() skips nothing. The source goes on behind the last sample of
  /// the state. Throws RunError when the state does not fit.
  void restore(const ReservoirBatchesState& state);
  /// Makes prepare(), skip(), batch() and finish() come back early when `breaks_off` says yes on any learner rank,
  /// until it no longer does. It is asked often, also while the source is waited for.
  void set_break(std::function<bool()> breaks_off) { breaks_off_ = std::move(breaks_off); }
  /// Takes all that the source has at hand, whatever the waiting list's length: for a moment at which no sample may be
  /// on its way. At most stream.queue samples more than were planned are held then.
  void take_in_all();
  ReservoirBatchesState state() const;
  /// Lets samples enter the reservoir at the steps of the record and leaves out those that are not in it, whatever the
  /// deck says of order and timing: the same draws as in the recorded training. Call it before prepare().
  void replay(std::vector<Delivery> record);
  const std::vector<Delivery>& deliveries() const { return deliveries_; }

  /// `told` is called on every rank with each look at the drift, at the validations.
  void watch_drift(std::function<void(const DriftReport&)> told) { drift_told_ = std::move(told); }
  /// The greatest drift against the normaliser so far, with its step; -1 samples before the first look.
  const DriftReport& greatest_drift() const { return greatest_drift_; }

  /// Samples that one of so many learner ranks can hold: reservoir, held-out samples and waiting list, or all that can
  /// come to it where these are fewer, and the one at hand.
  static std::size_t planned_samples(const Deck& deck, std::int64_t training, std::int64_t validation, int learners);
  std::size_t sample_bytes() const;  ///< of the fields of one sample
  /// Bytes of all samples that this rank can hold, fixed at the start.
  std::size_t pool_bytes() const { return pool_size_ * sample_bytes(); }
  /// Seconds that this rank has waited for the other learners to take in their samples.
  double peer_wait_seconds() const { return peer_wait_seconds_; }

  void prepare() override;
  Normaliser normaliser() override;
  TrainingDistribution distribution() override;
  std::vector<const Sample*> batch(std::int64_t step) override;
  void skip(std::int64_t step) override;
  ValidationReport validate(Trainer& trainer) override;
  void finish() override;
  bool is_interrupted() const override { return interrupted_; }
  std::int64_t accepted() const override { return reservoir_.accepted(); }
  std::int64_t drawn() const override { return reservoir_.drawn(); }
  std::int64_t at_hand() const override { return static_cast<std::int64_t>(reservoir_.size()); }

 private:
  static ReservoirOptions reservoir_options(const Deck& deck, std::int64_t training, std::int64_t validation,
                                            int learners, int rank);
  static std::int64_t share(std::int64_t training, std::int64_t validation, int learners);
  std::int64_t admitted_at(std::int64_t step) const;
  void fill();
  void take_in();
  bool wait_for_one();
  void arrived();
  void meet_other_learners();
  bool breaks_off() const { return breaks_off_ && breaks_off_(); }
  void enlarge(std::size_t samples);
  void agree_on_end();
  void admit(std::int64_t limit);
  void admit_recorded();
  bool admit_front();
  void take_memory();
  void look_at_drift(const Normaliser& normaliser);

  const Deck& deck_;
  SampleSource& source_;
  std::int64_t steps_, training_, validation_;
  std::vector<double> area_;
  MPI_Comm learners_;
  bool show_progress_;
  std::function<void()> source_ended_;
  int rank_ = 0, learner_count_ = 1;
  std::size_t local_batch_;
  ReservoirOptions reservoir_options_;
  Reservoir reservoir_;
  std::int64_t share_;  ///< samples of the whole run that can come to this learner
  std::size_t waiting_capacity_, pool_size_;
  std::vector<std::unique_ptr<Sample>> free_;  ///< memory of samples that are nowhere
  std::deque<std::unique_ptr<Sample>> waiting_;
  DistributionStatistics statistics_;  ///< of every training sample that came into the reservoir
  std::int64_t step_ = 0, next_number_ = 0, start_number_ = 0;
  std::function<bool()> breaks_off_;
  bool interrupted_ = false, is_over_ = false;
  bool told_end_ = false, restored_ = false, is_filled_ = false;
  std::vector<Delivery> deliveries_;
  std::vector<Delivery> record_;  ///< to be repeated
  std::size_t recorded_ = 0;      ///< of them already in
  std::int64_t skipped_ = 0;      ///< steps that skip() has gone through
  bool replays_ = false;
  ChannelMoments arrived_moments_;                             ///< since the last look
  std::unordered_map<const Sample*, ChannelMoments> moments_;  ///< of the training samples, by their fixed memory
  std::function<void(const DriftReport&)> drift_told_;
  DriftReport greatest_drift_;
  double peer_wait_seconds_ = 0;
};

}  // namespace tramontane
