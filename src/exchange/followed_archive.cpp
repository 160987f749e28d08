#include "src/exchange/followed_archive.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cmath>
#include <thread>

#include "kernels/fault_injection.hpp"
#include "kernels/wait_scope.hpp"
#include "src/archive/truncated_file.hpp"
#include "src/deck/duration.hpp"
#include "src/program/signals.hpp"

namespace tramontane {

namespace {

/// Attempts to read a sample of a structure that does not change, and seconds between them: a network file system may
/// show new structure before new data.
constexpr int kAttempts = 4;
constexpr double kPause = 0.25;

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

FollowedArchiveSource::FollowedArchiveSource(FollowingTerms terms)
    : terms_(std::move(terms)),
      mark_(terms_.mark),
      guard_(terms_.mark),
      watch_(terms_.note, terms_.run, terms_.takes_snapshots, terms_.silence_seconds),
      next_(terms_.learner) {}

bool FollowedArchiveSource::poll(Sample& into) {
  if (ended()) return false;
  look_at_run();
  const std::optional<FlushState> state = mark_.read();
  if (state && state->run != terms_.run) {
    stop_here(End::replaced, next_);
    return false;
  }
  if (!state || state->is_changing()) return false;
  if (end_ == End::none) samples_ = state->samples;
  if (end_ == End::none && state->is_over()) {
    if (state->last == ArchiveChange::spoiled) stop_here(End::early, next_);
    if (state->last == ArchiveChange::ended) stop_here(End::early, state->samples);
    if (state->last == ArchiveChange::completed) stop_here(End::completed, state->samples);
  }
  if (next_ >= samples_ || now_seconds() < not_before_) return false;
  return read_next(*state, into);
}

bool FollowedArchiveSource::wait(Sample& into) {
  using namespace std::chrono_literals;
  const WaitScope wait("the run's next sample", MPI_COMM_NULL, WaitScope::kAll, WaitScope::kOutside);
  const double began = now_seconds();
  for (;;) {
    const bool is_there = poll(into);
    if (is_there || ended()) {
      idle_seconds_ += now_seconds() - began;
      return is_there;
    }
    if (stop_requested()) breaks_off_ = true;
    if (breaks_off()) {
      idle_seconds_ += now_seconds() - began;
      return false;
    }
    std::this_thread::sleep_for(10ms);
  }
}

void FollowedArchiveSource::look_at_run() {
  const double now = now_seconds();
  if (end_ != End::none || now - looked_ < beat_period(terms_.silence_seconds)) return;
  looked_ = now;
  const RunSight sight = watch_.look();
  if (sight == RunSight::lives || sight == RunSight::replaced) return;  // the mark will tell of another run, too
  // The mark's last word was written before the note's, or by a run that lives no more.
  const std::optional<FlushState> mark = mark_.read();
  if (mark && (mark->run != terms_.run || mark->is_over())) return;
  if (sight == RunSight::away) {
    breaks_off_ = true;
    return;
  }
  // A run that died in the middle of a change leaves a structure that nobody should read.
  stop_here(sight == RunSight::over ? End::early : End::dead, !mark || mark->is_changing() ? next_ : mark->samples);
}

void FollowedArchiveSource::go_on() {
  breaks_off_ = false;
  looked_ = now_seconds();
}

void FollowedArchiveSource::stop_here(End why, std::int64_t samples) {
  if (end_ != End::none) return;
  end_ = why;
  samples_ = samples;
}

bool FollowedArchiveSource::open(const FlushState& state) {
  if (reader_ && generation_ == state.generation) return true;
  // HDF5 shares what it knows of a file between those that have it open: the old one goes first.
  reader_.reset();
  generation_ = state.generation;
  try {
    reader_ = std::make_unique<ArchiveReader>(terms_.archive, [this] {
      return hdf5::open_changing_file(terms_.archive, [this] {
        const auto now = guard_.read();
        return now && now->generation == generation_ && now->run == terms_.run;
      });
    });
  } catch (const InputError& error) {
    const auto now = mark_.read();
    if (now && now->generation == generation_) retry_later(error.what(), false);
    return false;
  }
  if (reader_->n() != terms_.coarse_n || std::abs(reader_->interval_seconds() - terms_.interval_seconds) > 1e-6)
    throw InputError(fmt::format("archive {} holds C{} at {}, and its run has announced C{} at {}: it is of another run",
                                 terms_.archive, reader_->n(), duration_text(reader_->interval_seconds()),
                                 terms_.coarse_n, duration_text(terms_.interval_seconds)));
  return true;
}

bool FollowedArchiveSource::read_next(const FlushState& state, Sample& into) {
  if (!open(state)) return false;
  try {
    if (next_ >= reader_->size())
      throw InputError(fmt::format("archive {}: it holds {} samples where its run has announced {}", terms_.archive,
                                   reader_->size(), state.samples));
    reader_->read(next_, into);
    next_ += terms_.learners;
    ++taken_;
    failures_ = 0;
    fault_at("followed-sample", taken_);
    return true;
  } catch (const InputError& error) {
    reader_.reset();
    const auto now = mark_.read();
    if (now && now->generation == state.generation) retry_later(error.what(), true);
    return false;
  }
}

void FollowedArchiveSource::retry_later(const std::string& problem, bool is_sample) {
  const double now = now_seconds();
  if (failures_++ == 0) failing_since_ = now;
  not_before_ = now + kPause;
  if (failures_ < kAttempts) return;
  if (is_sample) {
    spdlog::warn("sample {} is rejected: {}", next_, problem);
    ++rejected_;
    next_ += terms_.learners;
    failures_ = 0;
  } else if (now - failing_since_ > terms_.silence_seconds) {
    throw RunError(fmt::format("the run's archive can not be read: {}", problem));
  }
}

}  // namespace tramontane
