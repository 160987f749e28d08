#include "src/coupled/reservoir_batches.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <new>
#include <thread>
#include <utility>

#include "kernels/communicator.hpp"
#include "kernels/wait_scope.hpp"
#include "src/coupled/learning.hpp"
#include "src/program/progress.hpp"
#include "src/program/signals.hpp"

namespace tramontane {

namespace {

/// In deterministic mode all samples are admitted by this share of the steps.
constexpr double kAdmissionShare = 0.5;

/// Of a grid with that many areas.
int panel_cells(const std::vector<double>& area) {
  return static_cast<int>(std::lround(std::sqrt(static_cast<double>(area.size()) / kPanels)));
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
      reservoir_options_(reservoir_options(deck, training, validation, learner_count_, rank_)),
      reservoir_(reservoir_options_),
      share_(share(training, validation, learner_count_)),
      waiting_capacity_(static_cast<std::size_t>(std::min<std::int64_t>(deck.learner.reservoir, share_))),
      pool_size_(planned_samples(deck, training, validation, learner_count_)),
      statistics_(cell_positions(panel_cells(area_))) {
  take_memory();
}

/// Samples of the whole run that can come to this learner: every learner_count_-th.
std::int64_t ReservoirBatches::share(std::int64_t training, std::int64_t validation, int learners) {
  return std::max<std::int64_t>(1, (training + validation + learners - 1) / learners);
}

std::size_t ReservoirBatches::planned_samples(const Deck& deck, std::int64_t training, std::int64_t validation,
                                              int learners) {
  const ReservoirOptions options = reservoir_options(deck, training, validation, learners, 0);
  const std::int64_t all = share(training, validation, learners);
  const auto waiting = static_cast<std::size_t>(std::min<std::int64_t>(deck.learner.reservoir, all));
  const std::size_t places = options.capacity + options.validation_capacity + waiting;
  return std::min(places, static_cast<std::size_t>(all)) + 1;
}

std::size_t ReservoirBatches::sample_bytes() const {
  return area_.size() * (sample_inputs().size() + sample_targets().size()) * sizeof(float);
}

/// All at once, zeros written: a machine that has not got it says so now and not in the middle of the run.
void ReservoirBatches::take_memory() {
  free_.reserve(pool_size_);
  enlarge(pool_size_);
  moments_.reserve(pool_size_);
  deliveries_.reserve(static_cast<std::size_t>(share_));
}

/// Until there are so many free ones.
void ReservoirBatches::enlarge(std::size_t samples) {
  try {
    while (free_.size() < samples) {
      free_.push_back(std::make_unique<Sample>());
      if (source_.lend(*free_.back())) continue;
      free_.back()->input.resize(area_.size() * sample_inputs().size());
      free_.back()->target.resize(area_.size() * sample_targets().size());
    }
  } catch (const std::bad_alloc&) {
    throw RunError(fmt::format("learner {} cannot hold {} samples of {} bytes: lower learner.reservoir", rank_,
                               pool_size_, sample_bytes()));
  }
}

ReservoirOptions ReservoirBatches::reservoir_options(const Deck& deck, std::int64_t training, std::int64_t validation,
                                                     int learners, int rank) {
  const std::int64_t all = share(training, validation, learners);
  ReservoirOptions options;
  options.watermark = static_cast<std::size_t>(std::max(1, deck.learner.watermark / learners));
  // Room for more samples than can come would stay empty.
  options.capacity =
      std::max(options.watermark, static_cast<std::size_t>(std::min<std::int64_t>(deck.learner.reservoir, all)));
  options.validation_capacity = static_cast<std::size_t>(std::clamp<std::int64_t>(validation, 1, all));
  options.seed = static_cast<std::uint64_t>(deck.learner.seed) + static_cast<std::uint64_t>(rank);
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
  while (waiting_.size() < waiting_capacity_ && !free_.empty()) {
    if (!source_.poll(*free_.back())) break;
    arrived();
  }
}

void ReservoirBatches::take_in_all() {
  while (true) {
    enlarge(1);
    if (!source_.poll(*free_.back())) return;
    if (!is_over_) arrived();
  }
}

/// One more sample into the waiting list, waiting for it; false at the end of the source, or when that breaks off.
bool ReservoirBatches::wait_for_one() {
  if (free_.empty())
    throw RunError(fmt::format("learner {} has no room for more than the {} samples that were announced", rank_,
                               training_ + validation_));
  if (!source_.wait(*free_.back())) return false;
  arrived();
  return true;
}

/// The last free sample has been filled by the source.
void ReservoirBatches::arrived() {
  waiting_.push_back(std::move(free_.back()));
  free_.pop_back();
  const Sample& sample = *waiting_.back();
  if (!drift_told_ || sample.info.validation) return;
  const ChannelMoments moments(sample, area_);
  arrived_moments_.merge(moments);
  moments_[&sample] = moments;
}

/// The first waiting sample into the reservoir; false if there is no room now.
bool ReservoirBatches::admit_front() {
  const std::int64_t number = waiting_.front()->info.number;
  next_number_ = number + 1;
  const Sample* sample = waiting_.front().get();        // stays where it is if it is stored
  if (!reservoir_.add(waiting_.front())) return false;  // full of unseen samples: the next steps make room
  if (!sample->info.validation) statistics_.add(*sample);
  if (waiting_.front()) free_.push_back(std::move(waiting_.front()));
  waiting_.pop_front();
  deliveries_.push_back({number, step_});
  return true;
}

/// Waits until every learner has come here, and takes in samples meanwhile: a frame for this learner must not stand
/// in the solver's queue before those that the others still wait for. The learners learn whether any of them breaks
/// off.
void ReservoirBatches::meet_other_learners() {
  interrupted_ = breaks_off();
  if (learner_count_ == 1) return;
  int mine = interrupted_ ? 1 : 0, any = 0;
  MPI_Request request;
  MPI_Iallreduce(&mine, &any, 1, MPI_INT, MPI_MAX, learners_, &request);
  const double began = MPI_Wtime();
  const WaitScope wait("the samples of the other learners", learners_, WaitScope::kAll, deck_.stream.deadline);
  for (int done = 0;;) {
    MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    if (done) {
      peer_wait_seconds_ += MPI_Wtime() - began;
      interrupted_ = any != 0;
      return;
    }
    if (!is_over_) take_in();
    if (MPI_Wtime() - began > deck_.stream.deadline)
      throw RunError(
          fmt::format("learner {} waited {:g} s for the samples of the other learners", rank_, deck_.stream.deadline));
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
    while (!waiting_.empty() && waiting_.front()->info.number < limit)
      if (!admit_front()) return;
    // The next sample's number tells that all below the limit have been here; so does the end of the source.
    if (!deck_.learner.deterministic || !waiting_.empty() || next_number_ >= limit || source_.ended()) return;
    if (!wait_for_one()) return;
  }
}

/// Lets the recorded samples of the steps up to this one in, and leaves out those between them that are not recorded.
void ReservoirBatches::admit_recorded() {
  for (; recorded_ < record_.size() && record_[recorded_].step <= step_; ++recorded_) {
    const std::int64_t due = record_[recorded_].number;
    while (true) {
      if (waiting_.empty() && !wait_for_one())
        throw RunError(
            fmt::format("the recorded training took sample {}, which is not there: give the archive of that "
                        "run",
                        due));
      if (waiting_.front()->info.number >= due) break;
      free_.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    if (waiting_.front()->info.number != due || !admit_front())
      throw RunError(
          fmt::format("the recorded training took sample {} before step {}, which cannot be repeated here: "
                      "give the archive and the settings of that run",
                      due, step_));
  }
}

/// Until the watermark is reached, or nothing more comes.
void ReservoirBatches::fill() {
  Progress progress("filling the reservoir", static_cast<double>(reservoir_options_.watermark), "samples",
                    show_progress_);
  while (!reservoir_.ready()) {
    take_in();
    if (waiting_.empty() && !wait_for_one()) break;
    if (!admit_front()) break;  // full: as ready as it will be
    progress.update(static_cast<double>(reservoir_.size()));
    if (breaks_off()) return;
  }
  if (!reservoir_.ready() && breaks_off()) return;
  start_number_ = next_number_;
  is_filled_ = true;
}

void ReservoirBatches::prepare() {
  recorded_ = deliveries_.size();  // a restored past is in already
  if (replays_)
    admit_recorded();
  else if (!is_filled_)
    fill();
  meet_other_learners();
  if (interrupted_) return;
  // A learner that was done when its state was saved has no samples any more, and needs none.
  long least = static_cast<long>(restored_ && step_ > 0 ? 1 : reservoir_.size());
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
  step_ = step;
  replays_ ? admit_recorded() : admit(admitted_at(step));
  meet_other_learners();
  if (interrupted_) return {};
  agree_on_end();
  return reservoir_.draw(local_batch_);
}

void ReservoirBatches::skip(std::int64_t step) {
  // From an archive the same samples come again, so the reservoir's past can be gone through without training.
  if (restored_) return;
  while (skipped_ < step) {
    batch(skipped_ + 1);
    if (interrupted_) return;
    ++skipped_;
  }
}

ValidationReport ReservoirBatches::validate(Trainer& trainer) {
  look_at_drift(trainer.normaliser());
  std::vector<const Sample*> held_out;
  for (const auto& sample : reservoir_.validation()) held_out.push_back(sample.get());
  long count = static_cast<long>(held_out.size());
  MPI_Allreduce(MPI_IN_PLACE, &count, 1, MPI_LONG, MPI_SUM, learners_);
  return count == 0 ? ValidationReport{} : trainer.validate(held_out);
}

/// Every sample counts where it arrives, so that the sums do not depend on when a learner looked.
void ReservoirBatches::look_at_drift(const Normaliser& normaliser) {
  if (!drift_told_) return;
  const ChannelMoments now = std::exchange(arrived_moments_, {}).reduced(learners_);
  ChannelMoments stored;
  for (const Sample* sample : reservoir_.samples()) {
    auto place = moments_.find(sample);
    if (place == moments_.end()) place = moments_.emplace(sample, ChannelMoments(*sample, area_)).first;
    stored.merge(place->second);
  }
  stored = stored.reduced(learners_);
  // What came before the first step made the normaliser: it can tell nothing yet.
  if (step_ == 0 || now.samples == 0) return;
  DriftReport report;
  report.step = step_;
  report.samples = static_cast<std::int64_t>(now.samples);
  std::size_t channel = 0;
  const ChannelScales scales(now);
  report.against_normaliser = drift_between(scales, ChannelScales(normaliser), &channel);
  report.against_reservoir = drift_between(scales, ChannelScales(stored));
  const std::size_t inputs = sample_inputs().size();
  report.channel = channel < inputs ? sample_inputs()[channel].name : sample_targets()[channel - inputs].name;
  if (greatest_drift_.samples < 0 || report.against_normaliser > greatest_drift_.against_normaliser)
    greatest_drift_ = report;
  drift_told_(report);
}

ReservoirBatchesState ReservoirBatches::state() const {
  ReservoirBatchesState state;
  state.reservoir = reservoir_.state();
  for (const auto& sample : waiting_) state.waiting.push_back(sample.get());
  state.step = step_;
  state.is_filled = is_filled_;
  state.next_number = next_number_;
  state.start_number = start_number_;
  state.deliveries = deliveries_;
  state.arrived = arrived_moments_;
  state.distribution = statistics_.numbers();
  return state;
}

void ReservoirBatches::restore(const ReservoirBatchesState& state) {
  const std::size_t stored = state.reservoir.training.size() + state.reservoir.validation.size();
  // A snapshot may hold some samples more than were planned for (take_in_all).
  if (stored + state.waiting.size() > free_.size() + static_cast<std::size_t>(deck_.stream.queue))
    throw RunError(fmt::format("a saved learner's {} samples do not fit its room for {}: keep learner.reservoir",
                               stored + state.waiting.size(), free_.size()));
  enlarge(stored + state.waiting.size());
  reservoir_.restore(state.reservoir);
  free_.resize(free_.size() - stored);  // the reservoir has taken memory of its own
  for (const Sample* sample : state.waiting) {
    *free_.back() = *sample;
    waiting_.push_back(std::move(free_.back()));
    free_.pop_back();
  }
  step_ = state.step;
  is_filled_ = state.is_filled;
  next_number_ = state.next_number;
  start_number_ = state.start_number;
  deliveries_ = state.deliveries;
  arrived_moments_ = state.arrived;
  if (!state.distribution.empty())
    statistics_.restore(state.distribution);
  else  // what is at hand is the best that is known
    for (const Sample* sample : reservoir_.samples()) statistics_.add(*sample);
  restored_ = true;
}

void ReservoirBatches::replay(std::vector<Delivery> record) {
  record_ = std::move(record);
  replays_ = true;
}

/// Samples that came after the last step are taken and left: the stream's ledger must close.
void ReservoirBatches::finish() {
  is_over_ = true;
  source_.discard_rest();
  meet_other_learners();
  if (!interrupted_) agree_on_end();
}

}  // namespace tramontane
