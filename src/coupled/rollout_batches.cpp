#include "src/coupled/rollout_batches.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "ml/counter_random.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

namespace {

/// Rollouts on held-out months at most, evenly over their starts: neighbouring starts give nearly the same.
constexpr std::int64_t kHeldOutRollouts = 64;

std::vector<float> orography_of(const ArchiveSet& archives) {
  const Sample sample = archives.read(archives.training().front());
  const auto cells = static_cast<std::ptrdiff_t>(kPanels) * sample.n * sample.n;
  return {sample.input.end() - cells, sample.input.end()};  // the last variable
}

}  // namespace

RolloutBatches::RolloutBatches(const Deck& deck, const ArchiveSet& archives, const RolloutSchedule& schedule,
                               std::unique_ptr<BatchSource> one_step, MPI_Comm learners)
    : deck_(deck),
      archives_(archives),
      schedule_(schedule),
      one_step_(std::move(one_step)),
      learners_(learners),
      rollout_(deck, archives.n(), orography_of(archives)) {
  MPI_Comm_rank(learners_, &rank_);
  MPI_Comm_size(learners_, &ranks_);
  local_batch_ = deck.learner.batch / ranks_;
}

void RolloutBatches::prepare() {
  one_step_->prepare();
  collective_guard(learners_, [&] {
    const auto starts = rollout_starts(archives_, archives_.held_out(), schedule_.longest());
    const auto total = static_cast<std::int64_t>(starts.size()), count = std::min(total, kHeldOutRollouts);
    for (std::int64_t k = rank_; k < count; k += ranks_) {
      const RolloutStart& start = starts[static_cast<std::size_t>((2 * k + 1) * total / (2 * count))];
      held_out_.push_back(archives_.read(start.start));
      held_out_.push_back(archives_.read(start.truth));
    }
  });
}

/// Reads start and truth in turn.
Sample RolloutBatches::read(std::int64_t place) {
  const std::int64_t step = place / 2 / local_batch_, within = rank_ * local_batch_ + place / 2 % local_batch_;
  const RolloutStart& start = starts_[static_cast<std::size_t>(order_->at(step * deck_.learner.batch + within))];
  return archives_.read(place % 2 == 0 ? start.start : start.truth);
}

void RolloutBatches::start_reader(std::int64_t step) {
  stop_reader();  // the old one's thread must be gone before the new one uses the order
  const std::size_t stage = schedule_.stage_of(step);
  const int intervals = schedule_.stages[stage];
  starts_ = rollout_starts(archives_, archives_.training(), intervals);
  // Every stage in an order of its own.
  order_ = std::make_unique<EpochOrder>(
      static_cast<std::int64_t>(starts_.size()),
      random_bits(static_cast<std::uint64_t>(deck_.learner.seed), RandomStream::rollout_order, stage));
  const auto capacity = static_cast<std::size_t>(2 * std::max<std::int64_t>(deck_.learner.read_ahead / 2, local_batch_));
  reader_ = std::make_unique<ReadAhead>([this](std::int64_t place) { return read(place); },
                                        2 * schedule_.within_stage(step) * local_batch_,
                                        2 * schedule_.stage_steps * local_batch_, capacity);
  stage_ = static_cast<std::ptrdiff_t>(stage);
  if (rank_ == 0)
    spdlog::info("stage {} of {}: rollouts over {} coupling interval{} from {} starts", stage + 1,
                 schedule_.stages.size(), intervals, intervals > 1 ? "s" : "", starts_.size());
}

void RolloutBatches::stop_reader() {
  if (reader_) waited_ += reader_->wait_seconds();
  reader_.reset();
  stage_ = -1;
}

void RolloutBatches::finish() {
  one_step_->finish();
  stop_reader();
}

void RolloutBatches::skip(std::int64_t step) {
  one_step_->skip(std::min(step, schedule_.one_step));
  drawn_ = std::max<std::int64_t>(0, step - schedule_.one_step) * local_batch_;
  next_step_ = step + 1;
}

void RolloutBatches::set_weights(const Trainer& trainer) {
  if (model_.weights.empty())
    model_ = trainer.model();
  else
    model_.weights = trainer.averaged_weights();
  rollout_.set_model(model_);
}

void RolloutBatches::observe(const Trainer& trainer) {
  if (schedule_.intervals(next_step_) > 1) set_weights(trainer);
}

std::vector<const Sample*> RolloutBatches::batch(std::int64_t step) {
  next_step_ = step + 1;
  if (!schedule_.is_tuning(step)) return one_step_->batch(step);
  if (stage_ != static_cast<std::ptrdiff_t>(schedule_.stage_of(step))) start_reader(step);
  const int intervals = schedule_.intervals(step);
  collective_guard(learners_, [&] {
    batch_.clear();
    for (std::int64_t k = 0; k < local_batch_; ++k) {
      Sample start = reader_->take(deck_.stream.deadline);
      const Sample truth = reader_->take(deck_.stream.deadline);
      std::optional<Sample> pair;
      // A single interval is in the archive as it is.
      if (intervals > 1) pair = rollout_.pair(start, truth, intervals);
      if (intervals > 1 && !pair) report_lost(start, intervals);
      // In the place of a rollout that was lost stands its first interval, so that batches keep their size.
      batch_.push_back(pair ? std::move(*pair) : std::move(start));
    }
  });
  drawn_ += local_batch_;
  std::vector<const Sample*> pointers;
  for (const Sample& sample : batch_) pointers.push_back(&sample);
  return pointers;
}

void RolloutBatches::report_lost(const Sample& start, int intervals) {
  // The first one in words; the summary counts them all.
  if (lost_++ == 0)
    spdlog::warn("a rollout over {} intervals from {} at {:g} h did not stay finite: it is left out, and its first interval "
                 "is trained on instead (more of them are only counted)",
                 intervals, month_text(start.info.month), start.info.time / 3600);
}

RolloutReport RolloutBatches::validate_rollouts(Trainer& trainer) {
  RolloutReport report;
  report.intervals = schedule_.longest();
  set_weights(trainer);
  std::vector<Sample> pairs;
  pairs.reserve(held_out_.size() / 2);
  for (std::size_t k = 0; k < held_out_.size(); k += 2)
    if (auto pair = rollout_.pair(held_out_[k], held_out_[k + 1], report.intervals))
      pairs.push_back(std::move(*pair));
    else
      ++report.lost;
  MPI_Allreduce(MPI_IN_PLACE, &report.lost, 1, MPI_INT64_T, MPI_SUM, learners_);
  std::vector<const Sample*> pointers;
  for (const Sample& sample : pairs) pointers.push_back(&sample);
  report.losses = trainer.validate(pointers);
  return report;
}

std::int64_t RolloutBatches::accepted() const {
  if (schedule_.one_step > 0) return one_step_->accepted();
  const auto total = static_cast<std::int64_t>(archives_.training().size());
  const std::int64_t seen = std::min(total, drawn_ * ranks_);
  return seen / ranks_ + (rank_ < seen % ranks_ ? 1 : 0);
}

double RolloutBatches::wait_seconds() const {
  return one_step_->wait_seconds() + waited_ + (reader_ ? reader_->wait_seconds() : 0);
}

}  // namespace tramontane
