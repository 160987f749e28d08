#include "src/coupled/state_watch.hpp"

#include <fmt/format.h>

#include <climits>
#include <cmath>

namespace tramontane {

StateWatch::StateWatch(const ShallowWater& solver, double deadline_seconds)
    : solver_(solver), deadline_(deadline_seconds), comm_(solver.comm()) {}

StateWatch::~StateWatch() {
  // A run that failed elsewhere leaves its last message under way. Where the others do not come within a second, the
  // message's buffer is left to MPI.
  try {
    wait_with_deadline(request_, 1.0, "the last message between steps");
  } catch (const RunError&) {
    message_.release();
  }
}

void StateWatch::start(const State& state, double time_seconds, StepFlags mine) {
  time_ = time_seconds;
  const bool bad = count_bad_cells(solver_, state) > 0;
  // Found now, while the trouble is where it began: a step later it has spread.
  if (bad) bad_ = first_bad_cell(solver_, state);
  message_->sent[0] = bad ? 1 : 0;
  message_->sent[1] = mine.stop ? 1 : 0;
  message_->sent[2] = mine.checkpoint ? 1 : 0;
  MPI_Iallreduce(message_->sent, message_->agreed, 3, MPI_INT, MPI_MAX, comm_.get(), &request_.emplace_back());
}

StepFlags StateWatch::finish() {
  if (request_.empty()) return {};
  wait_with_deadline(request_, deadline_,
                     fmt::format("solver rank {}: agreeing with the other solver ranks after a step", comm_.rank()));
  request_.clear();
  if (message_->agreed[0]) report();
  return {message_->agreed[1] != 0, message_->agreed[2] != 0};
}

void StateWatch::report() {
  // The bad cell of lowest number over all ranks names the place; its owner tells the others.
  struct {
    long number;
    int rank;
  } first{bad_ ? bad_->number : LONG_MAX, comm_.rank()};
  MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_LONG_INT, MPI_MINLOC, comm_.get());
  std::string text;
  if (first.rank == comm_.rank() && bad_) {
    const bool is_length = bad_->field == "depth", is_speed = bad_->field.starts_with("velocity");
    const std::string value = std::isnan(bad_->value) ? "NaN"
                                                      : fmt::format("{:.4g}{}", bad_->value,
                                                                    is_length  ? " m"
                                                                    : is_speed ? " m/s"
                                                                               : "");
    text = fmt::format(
        "the solver on C{} blew up at {:.4f} h: {} is {} at tile {}, cell ({}, {}), {:.2f} E {:.2f} N{}; "
        "lower time.cfl",
        solver_.grid().n(), time_ / 3600, bad_->field, value, bad_->tile, bad_->j, bad_->i, bad_->longitude,
        bad_->latitude, solver_.levels() > 1 ? fmt::format(", level {}", bad_->level) : std::string());
  }
  int length = static_cast<int>(text.size());
  MPI_Bcast(&length, 1, MPI_INT, first.rank, comm_.get());
  text.resize(length);
  MPI_Bcast(text.data(), length, MPI_CHAR, first.rank, comm_.get());
  throw RunError(text);
}

}  // namespace tramontane
