#include "src/coupled/epoch_batches.hpp"

#include <algorithm>

#include "src/program/collective_guard.hpp"

namespace tramontane {

namespace {
/// Held-out samples of a rank that are evaluated together when they do not all stay in memory.
constexpr std::int64_t kPiece = 64;
}  // namespace

EpochBatches::EpochBatches(const Deck& deck, const ArchiveSet& archives, std::int64_t steps, Normaliser normaliser,
                           TrainingDistribution distribution, MPI_Comm learners)
    : deck_(deck),
      archives_(archives),
      steps_(steps),
      normaliser_(std::move(normaliser)),
      distribution_(std::move(distribution)),
      learners_(learners),
      local_batch_(0),
      order_(static_cast<std::int64_t>(archives.training().size()), static_cast<std::uint64_t>(deck.learner.seed)) {
  MPI_Comm_rank(learners_, &rank_);
  MPI_Comm_size(learners_, &ranks_);
  local_batch_ = deck.learner.batch / ranks_;
}

void EpochBatches::start_reader(std::int64_t done_steps) {
  const auto read = [this](std::int64_t place) {
    const std::int64_t step = place / local_batch_, within = rank_ * local_batch_ + place % local_batch_;
    const std::int64_t chosen = order_.at(step * deck_.learner.batch + within);
    return archives_.read(archives_.training()[static_cast<std::size_t>(chosen)]);
  };
  const auto capacity = static_cast<std::size_t>(std::max<std::int64_t>(deck_.learner.read_ahead, local_batch_));
  stop_reader();  // the old one's thread must be gone before the new one uses the order
  reader_ = std::make_unique<ReadAhead>(read, done_steps * local_batch_, steps_ * local_batch_, capacity);
}

void EpochBatches::stop_reader() {
  if (reader_) waited_ += reader_->wait_seconds();
  reader_.reset();
}

void EpochBatches::prepare() {
  collective_guard(learners_, [&] {
    const auto& numbers = archives_.held_out();
    const auto room = static_cast<std::size_t>(std::max(1, deck_.learner.reservoir / ranks_));
    for (std::size_t k = rank_; k < numbers.size() && held_out_.size() < room; k += ranks_)
      held_out_.push_back(archives_.read(numbers[k]));
  });
  start_reader(0);
}

void EpochBatches::skip(std::int64_t step) {
  drawn_ = step * local_batch_;
  start_reader(step);
}

std::vector<const Sample*> EpochBatches::batch(std::int64_t) {
  // A file that can not be read any more is told to all ranks before they meet in the step.
  collective_guard(learners_, [&] {
    batch_.clear();
    for (std::int64_t k = 0; k < local_batch_; ++k) batch_.push_back(reader_->take(deck_.stream.deadline));
  });
  drawn_ += local_batch_;
  std::vector<const Sample*> pointers;
  for (const Sample& sample : batch_) pointers.push_back(&sample);
  return pointers;
}

ValidationReport EpochBatches::validate(Trainer& trainer) {
  const auto& numbers = archives_.held_out();
  const auto total = static_cast<std::int64_t>(numbers.size());
  ValidationReport all;
  if (total == 0) return all;
  const std::int64_t most = (total + ranks_ - 1) / ranks_, mine = (total - rank_ + ranks_ - 1) / ranks_;
  // In memory, or not: the same pieces, so the same sums.
  for (std::int64_t first = 0; first < most; first += kPiece) {
    std::vector<Sample> read;
    std::vector<const Sample*> piece;
    collective_guard(learners_, [&] {
      read.reserve(kPiece);
      for (std::int64_t k = first; k < std::min(first + kPiece, mine); ++k) {
        if (k < static_cast<std::int64_t>(held_out_.size())) {
          piece.push_back(&held_out_[static_cast<std::size_t>(k)]);
        } else {
          read.push_back(archives_.read(numbers[static_cast<std::size_t>(k * ranks_ + rank_)]));
          piece.push_back(&read.back());
        }
      }
    });
    const ValidationReport report = trainer.validate(piece);
    const auto count = static_cast<double>(report.samples), before = static_cast<double>(all.samples);
    const auto mean = [&](double a, double b) { return (a * before + b * count) / (before + count); };
    all.per_variable.resize(report.per_variable.size());
    for (std::size_t v = 0; v < report.per_variable.size(); ++v)
      all.per_variable[v] = mean(all.per_variable[v], report.per_variable[v]);
    all.loss = mean(all.loss, report.loss);
    all.persistence = mean(all.persistence, report.persistence);
    all.samples += report.samples;
  }
  return all;
}

std::int64_t EpochBatches::accepted() const {
  const auto total = static_cast<std::int64_t>(archives_.training().size());
  const std::int64_t seen = std::min(total, drawn_ * ranks_);
  return seen / ranks_ + (rank_ < seen % ranks_ ? 1 : 0);
}

}  // namespace tramontane
