#include "src/coupled/reservoir_batches.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "src/coupled/learning.hpp"
#include "src/program/progress.hpp"
#include "src/program/signals.hpp"

namespace tramontane {

namespace {

/// In deterministic mode all samples are admitted by this share of the steps.
constexpr double kAdmissionShare = 0.5;

int rank_in(MPI_Comm comm) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  return rank;
}
int size_of(MPI_Comm comm) {
  int size = 1;
  MPI_Comm_size(comm, &size);
  return size;
}

}  // namespace

ReservoirBatches::ReservoirBatches(const Deck& deck, SampleSource& source, std::int64_t steps, std::int64_t training,
                                   std::int64_t validation, std::vector<double> area, MPI_Comm learners,
                                   bool show_progress, std::function<void()> source_ended)
    : deck_(deck),
      source_(source),
      steps_(steps),
      training_(training),
      validation_(validation),
      area_(std::move(area)),
      learners_(learners),
      show_progress_(show_progress),
      source_ended_(std::move(source_ended)),
      rank_(rank_in(learners)),
      learner_count_(size_of(learners)),
      local_batch_(static_cast<std::size_t>(deck.learner.batch / learner_count_)),
      reservoir_(reservoir_options()),
      statistics_(cell_positions(deck.surrogate.coarse_n)) {}

ReservoirOptions ReservoirBatches::reservoir_options() const {
  ReservoirOptions options;
  options.capacity = static_cast<std::size_t>(deck_.learner.reservoir);
  options.validation_capacity = static_cast<std::size_t>(std::max<std::int64_t>(validation_, 1));
  options.watermark = static_cast<std::size_t>(std::max(1, deck_.learner.watermark / learner_count_));
  options.seed = static_cast<std::uint64_t>(deck_.learner.seed) + static_cast<std::uint64_t>(rank_);
  return options;
}

/// In deterministic mode: samples with numbers below this may be drawn from at a step (0: before the first).
std::int64_t ReservoirBatches::admitted_at(std::int64_t step) const {
  const std::int64_t total = training_ + validation_, start = start_number_;
  if (!deck_.learner.deterministic) return total;
  const double share = std::min(1.0, static_cast<double>(step) / (kAdmissionShare * static_cast<double>(steps_)));
  return std::min(total, start + static_cast<std::int64_t>(share * static_cast<double>(total - start)));
}

/// Moves whatever the source has at hand into the waiting list, so that a solver is not held up by our schedule.
void ReservoirBatches::take_in() {
  while (static_cast<std::int64_t>(waiting_.size()) < deck_.learner.reservoir) {
    std::optional<Sample> sample = source_.poll();
    if (!sample) break;
    waiting_.push_back(std::move(*sample));
  }
}

/// One more sample into the waiting list, waiting for it; false at the end of the source.
bool ReservoirBatches::wait_for_one() {
  std::optional<Sample> sample = source_.wait();
  if (!sample) return false;
  waiting_.push_back(std::move(*sample));
  return true;
}

/// Moves the first waiting sample into the reservoir; false if that has no room.
bool ReservoirBatches::place_first() {
  const Sample& sample = waiting_.front();
  if (!reservoir_.add(sample)) return false;
  if (!sample.info.validation) statistics_.add(sample);
  waiting_.pop_front();
  return true;
}

/// Waits until every learner has come here, and takes in samples meanwhile: a frame for this learner must not stand
/// in the solver's queue before those that the others still wait for.
void ReservoirBatches::meet_other_learners() {
  if (learner_count_ == 1) return;
  MPI_Request request;
  MPI_Ibarrier(learners_, &request);
  const double began = MPI_Wtime();
  for (int done = 0;;) {
    MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    if (done) return;
    take_in();
    if (MPI_Wtime() - began > deck_.stream.deadline)
      throw RunError(fmt::format("learner {} waited {:g} s for the samples of the other learners", rank_,
                                 deck_.stream.deadline));
    std::this_thread::sleep_for(std::chrono::microseconds(200));  // the others may share this core
  }
}

/// Ending the source is collective over the learners, and so is a training step: one is told only when all have it.
void ReservoirBatches::agree_on_end() {
  if (told_end_) return;
  int ended = source_.ended() ? 1 : 0;
  MPI_Allreduce(MPI_IN_PLACE, &ended, 1, MPI_INT, MPI_MIN, learners_);
  if (!ended) return;
  told_end_ = true;
  if (source_ended_) source_ended_();
}

/// Puts waiting samples with numbers below `limit` into the reservoir. In deterministic mode waits until they are in.
void ReservoirBatches::admit(std::int64_t limit) {
  take_in();
  while (true) {
    while (!waiting_.empty() && waiting_.front().info.number < limit) {
      next_number_ = waiting_.front().info.number + 1;
      if (!place_first()) return;  // full of unseen samples: the next steps make room
    }
    // The next sample's number tells that all below the limit have been here; so does the end of the source.
    if (!deck_.learner.deterministic || !waiting_.empty() || next_number_ >= limit || source_.ended()) return;
    if (!wait_for_one()) return;
  }
}

void ReservoirBatches::prepare() {
  Progress progress("filling the reservoir", static_cast<double>(reservoir_options().watermark), "samples",
                    show_progress_);
  while (!reservoir_.ready()) {
    take_in();
    if (waiting_.empty() && !wait_for_one()) break;
    const std::int64_t next = waiting_.front().info.number + 1;
    if (!place_first()) break;  // full: as ready as it will be
    next_number_ = next;
    progress.update(static_cast<double>(reservoir_.size()));
  }
  start_number_ = next_number_;
  meet_other_learners();
  long least = static_cast<long>(reservoir_.size());
  MPI_Allreduce(MPI_IN_PLACE, &least, 1, MPI_LONG, MPI_MIN, learners_);
  if (least > 0) return;
  throw RunError(stop_requested(learners_)
                     ? "a signal ended the run before a training sample reached every learner: there is no model"
                     : "no training sample reached some learner: teach more months, or let stream.when_full block");
}

Normaliser ReservoirBatches::normaliser() {
  NormaliserStatistics statistics(area_, static_cast<int>(sample_inputs().size()),
                                  static_cast<int>(sample_targets().size()));
  for (const Sample* sample : reservoir_.samples()) statistics.add(*sample);
  statistics.reduce(learners_, deck_.stream.deadline);
  return statistics.finish(kBoundFactor);
}

TrainingDistribution ReservoirBatches::distribution() {
  DistributionStatistics all = statistics_;
  all.reduce(learners_, deck_.stream.deadline);
  return all.finish();
}

std::vector<const Sample*> ReservoirBatches::batch(std::int64_t step) {
  admit(admitted_at(step));
  meet_other_learners();
  agree_on_end();
  return reservoir_.draw(local_batch_);
}

void ReservoirBatches::skip(std::int64_t step) {
  // From an archive the same samples come again, so the reservoir's past can be gone through without training.
  for (std::int64_t k = 1; k <= step; ++k) batch(k);
}

ValidationReport ReservoirBatches::validate(Trainer& trainer) {
  std::vector<const Sample*> held_out;
  for (const auto& sample : reservoir_.validation()) held_out.push_back(sample.get());
  long count = static_cast<long>(held_out.size());
  MPI_Allreduce(MPI_IN_PLACE, &count, 1, MPI_LONG, MPI_SUM, learners_);
  return count == 0 ? ValidationReport{} : trainer.validate(held_out);
}

/// Samples that came after the last step are taken and left: the stream's ledger must close.
void ReservoirBatches::finish() {
  source_.discard_rest();
  agree_on_end();
}

}  // namespace tramontane
