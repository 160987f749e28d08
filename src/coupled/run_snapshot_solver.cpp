#include "src/coupled/run_snapshot_solver.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cmath>
#include <thread>

#include "kernels/communicator.hpp"
#include "kernels/wait_scope.hpp"
#include "ml/mpi_deadline.hpp"
#include "src/archive/archive_structure.hpp"
#include "src/checkpoint/checkpoint.hpp"
#include "src/checkpoint/sealed_file.hpp"
#include "src/coupled/provenance.hpp"
#include "src/coupled/run_snapshot_resume.hpp"
#include "src/output/metrics.hpp"
#include "src/program/collective_guard.hpp"
#include "src/program/signals.hpp"

namespace tramontane {

namespace {

constexpr int kArchivePartFormat = 501;

/// Whole periods of checkpoint.every in the model time taught so far.
std::int64_t periods_at(const Deck& deck, const LessonPlace& place) {
  const auto every = deck.checkpoint_every();
  return every ? static_cast<std::int64_t>(std::floor(static_cast<double>(place.number) * deck.stream.every / *every + 1e-9))
               : 0;
}

}  // namespace

SolverSnapshots::SolverSnapshots(const CommandContext& context, SolverPair& pair, SnapshotLink* link, SolverEnd* exchange,
                                 std::string metrics_path, const RunSnapshot* continued, const std::string& path)
    : context_(context),
      deck_(context.deck),
      pair_(pair),
      link_(link),
      exchange_(exchange),
      store_(context.deck),
      metrics_path_(std::move(metrics_path)),
      last_(path),
      run_id_(continued ? continued->run_id : run_id(context.deck)),
      clock_(MPI_Wtime()) {
  if (continued) {
    next_ = continued->number + 1;
    restarts_ = continued->restarts;
    restarts_.push_back({continued->number, continued->place.number, continued->training_step});
    stalled_before_ = continued->stall_seconds;
    periods_ = periods_at(deck_, continued->place);
    end_ = continued->place;
    archived_ = continued->archived;
  }
  collective_guard(pair_.comm(), [&] {
    if (is_root()) store_.open(path);
  });
}

void SolverSnapshots::lessons_are_over(const LessonPlace& place, const Ledger& ledger) {
  lessons_done_ = true;
  end_ = place;
  ledger_ = ledger;
  if (parts_.archive) archived_ = parts_.archive->failed() ? kArchiveFailed : parts_.archive->size();
  if (parts_.stream) stalled_before_ += parts_.stream->stall_seconds();
  parts_.stream = nullptr;
  parts_.archive = nullptr;
  at_end_ = describe(deck_, pair_.fine());
  at_end_->budgets_at_start = parts_.watch->start_values();
  at_end_->largest_drifts = parts_.watch->worst_values();
}

bool SolverSnapshots::is_due(const LessonPlace& place) const {
  if (deck_.checkpoint.minutes && is_root() && MPI_Wtime() - clock_ >= 60 * *deck_.checkpoint.minutes) return true;
  return !lessons_done_ && periods_at(deck_, place) > periods_;
}

bool SolverSnapshots::consider(const LessonPlace& place, bool always) {
  if (is_stopped_) return true;
  int flags[2] = {stop_requested() || (is_root() && link_ && link_->learner_was_signalled()) ? 1 : 0,
                  always || is_due(place) ? 1 : 0};
  MPI_Allreduce(MPI_IN_PLACE, flags, 2, MPI_INT, MPI_MAX, pair_.comm());
  is_stopped_ = flags[0] != 0;
  if (!is_stopped_ && flags[1] == 0) return false;
  const double began = MPI_Wtime();
  if (link_ && parts_.gate->learner_is_lost()) {
    if (is_root() && !has_warned_)
      spdlog::warn("without the learner there are no more snapshots{}",
                   last_.empty() ? std::string() : "; the last good one is " + last_);
    has_warned_ = true;
  } else if (take(place, is_stopped_)) {
    failure_.clear();
    ++taken_;
  }
  periods_ = periods_at(deck_, place);
  clock_ = MPI_Wtime();
  seconds_ += clock_ - began;
  return is_stopped_;
}

bool SolverSnapshots::take(const LessonPlace& place, bool stop) {
  sign_of_life("snapshot", next_);
  RunSnapshot snapshot;
  snapshot.number = next_++;
  snapshot.version = TRAMONTANE_VERSION;
  snapshot.run_id = run_id_;
  snapshot.settings = run_settings(deck_);
  snapshot.solvers = context_.ranks.solvers;
  snapshot.learners = context_.ranks.learners;
  snapshot.place = place;
  snapshot.lessons_done = lessons_done_;
  snapshot.restarts = restarts_;
  std::string why;
  // The folder must be there before a learner writes into it.
  try {
    collective_guard(pair_.comm(), [&] {
      if (is_root()) store_.begin(snapshot.number);
    });
  } catch (const RunError& error) {
    why = error.what();
  }
  // A learner that has been told to leave leaves, with or without a part.
  if (!why.empty() && !stop) {
    failure_ = why;
  } else {
    if (is_root() && link_) link_->tell({SnapshotWord::take, stop ? 1 : 0, snapshot.number});
    const std::string silent = drain();
    if (!silent.empty()) {
      failure_ = silent;
      if (is_root()) parts_.gate->tell_lost(silent);
    } else if (is_root() && link_) {
      link_->tell({SnapshotWord::drained, 0, snapshot.number});
    }
    const std::string mine = !silent.empty() ? silent : why.empty() ? write_parts(snapshot, snapshot.ledger) : why;
    snapshot.archived = parts_.archive ? (parts_.archive->failed() ? kArchiveFailed : parts_.archive->size()) : archived_;
    snapshot.stall_seconds = stalled_before_ + (parts_.stream ? parts_.stream->stall_seconds() : 0);
    const std::string theirs = silent.empty() ? await_learners(snapshot.number, snapshot.training_step) : silent;
    failure_ = mine.empty() ? theirs : mine;
    try {
      collective_guard(pair_.comm(), [&] {
        if (!is_root() || !failure_.empty()) return;
        if (exchange_) {
          snapshot.training_step = exchange_->learner().step;
          snapshot.exchange = exchange_->past();
        }
        snapshot.metrics = metrics_text(metrics_path_);
        store_.seal(snapshot);
      });
    } catch (const RunError& error) {
      failure_ = error.what();
    }
  }
  if (!failure_.empty()) {
    if (is_root()) {
      store_.abandon(snapshot.number);
      spdlog::warn("no snapshot at sample {}{}: {}{}", place.number, stop ? "" : ", the run goes on", failure_,
                   last_.empty() ? std::string("; there is no earlier one") : "; the last good one is " + last_);
    }
    return false;
  }
  last_ = store_.path(snapshot.number);
  if (is_root())
    spdlog::info("snapshot {} at sample {} and training step {}", last_, place.number, snapshot.training_step);
  return true;
}

/// Until no frame is on its way from any rank. Returns why that is not to be, on every rank: a learner is silent.
std::string SolverSnapshots::drain() {
  std::string silent;
  try {
    if (parts_.stream) parts_.stream->drain();
  } catch (const LearnerSilent& error) {
    silent = error.what();
  }
  try {
    collective_guard(pair_.comm(), [&] {
      if (!silent.empty()) throw RunError(silent);
    });
  } catch (const RunError& error) {
    return error.what();
  }
  return "";
}

/// Returns why not, on every rank.
std::string SolverSnapshots::write_parts(const RunSnapshot& snapshot, Ledger& ledger) {
  const std::string folder = store_.aside(snapshot.number);
  ledger = parts_.stream ? parts_.stream->totals() : ledger_;
  // The same on all ranks. That is no matter of the snapshot: the run has lost count.
  if (!ledger.closed() || ledger.in_flight != 0)
    throw RunError("the stream's ledger does not close at a snapshot: " + to_string(ledger));
  try {
    if (parts_.archive && !parts_.archive->failed()) {
      parts_.archive->flush();
      write_archive_structure(folder);
    }
    Checkpoint checkpoint;
    if (at_end_) {
      checkpoint = *at_end_;
    } else {
      checkpoint = describe(deck_, pair_.fine());
      checkpoint.budgets_at_start = parts_.watch->start_values();
      checkpoint.largest_drifts = parts_.watch->worst_values();
    }
    write_checkpoint(folder + "/" + kStatePart, checkpoint, pair_.fine().solver(), pair_.fine().state());
    const GateState gate = parts_.gate->state();
    collective_guard(pair_.comm(), [&] {
      if (is_root()) write_gate_parts(folder, gate);
    });
  } catch (const RunError& error) {
    return error.what();
  }
  return "";
}

/// Nothing writes to the archive between its flush and the next sample.
void SolverSnapshots::write_archive_structure(const std::string& folder) const {
  collective_guard(pair_.comm(), [&] {
    if (!is_root()) return;
    write_sealed_file(folder + "/" + kArchivePart, kArchivePartFormat, archive_structure(*deck_.stream.archive));
  });
}

/// Waits until every learner has answered; returns why there is no snapshot, or "", on every rank. `step` is the training's.
std::string SolverSnapshots::await_learners(std::int64_t number, std::int64_t& step) {
  if (!link_) return "";
  std::string why;
  int state = 0;  // 0: waiting, 1: all answers are here, 2: too late
  const WaitScope wait("the learners' parts of a snapshot", MPI_COMM_NULL, WaitScope::kAll, deck_.stream.deadline);
  const double began = MPI_Wtime();
  while (state == 0) {
    const double slice = MPI_Wtime();
    while (is_root() && state == 0 && MPI_Wtime() - slice < 1.0) {
      const bool is_there = parts_.gate->listen();
      const auto& answers = link_->answers(number);
      if (static_cast<int>(answers.size()) == context_.ranks.learners) {
        state = 1;
        for (const SnapshotAnswer& answer : answers) {
          step = std::max(step, answer.step);
          if (answer.is_written == 0 && why.empty()) why = answer.why;
        }
      } else if (!is_there) {
        state = 2;
        why = "the learner is lost";
      } else if (MPI_Wtime() - began > deck_.stream.deadline) {
        state = 2;
        why = fmt::format("not all learners have written their part within {:g} s", deck_.stream.deadline);
      } else {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
    std::vector<MPI_Request> requests(1);
    MPI_Ibcast(&state, 1, MPI_INT, 0, pair_.comm(), requests.data());
    wait_with_deadline(requests, deck_.stream.deadline, "word from the first solver rank about a snapshot");
  }
  MPI_Bcast(&step, 1, MPI_INT64_T, 0, pair_.comm());
  return shared_text(why, pair_.comm());
}

SnapshotSummary SolverSnapshots::summary() const {
  SnapshotSummary out;
  out.taken = taken_;
  out.seconds = seconds_;
  out.last = last_;
  for (const RunRestart& r : restarts_) out.restarts.push_back({r.snapshot, r.sample, r.step});
  return out;
}

void SolverSnapshots::end() {
  if (is_ended_) return;
  is_ended_ = true;
  if (is_root() && link_) link_->tell({SnapshotWord::end, 0, 0});
}

}  // namespace tramontane
