#include "src/coupled/state_watch.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "kernels/communicator.hpp"

namespace tramontane {

std::string place_text(Vector3 place) {
  const LonLat at = to_lonlat(place);
  return fmt::format("{:.2f} E {:.2f} N", at.longitude * 45 / kQuarterPi, at.latitude * 45 / kQuarterPi);
}

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
  if (bad) bad_ = bad_cells(solver_, state);
  message_->sent[0] = bad ? 1 : 0;
  message_->sent[1] = mine.stop ? 1 : 0;
  message_->sent[2] = mine.checkpoint ? 1 : 0;
  MPI_Iallreduce(message_->sent, message_->agreed, 3, MPI_INT, MPI_MAX, comm_.get(), &request_.emplace_back());
}

StepFlags StateWatch::finish() {
  if (request_.empty()) return {};
  wait_with_deadline(request_, deadline_,
                     fmt::format("solver rank {}: agreeing with the other solver ranks after a step", comm_.rank()),
                     comm_.get());
  request_.clear();
  if (message_->agreed[0]) report();
  return {message_->agreed[1] != 0, message_->agreed[2] != 0};
}

void StateWatch::report() {
  double sums[4] = {0, 0, 0, static_cast<double>(bad_.size())};
  for (const BadCell& cell : bad_) {
    sums[0] += cell.centre.x;
    sums[1] += cell.centre.y;
    sums[2] += cell.centre.z;
  }
  MPI_Allreduce(MPI_IN_PLACE, sums, 4, MPI_DOUBLE, MPI_SUM, comm_.get());
  const Vector3 middle{sums[0], sums[1], sums[2]};
  struct {
    double away;
    int rank;
  } nearest{std::numeric_limits<double>::infinity(), comm_.rank()};
  const BadCell* named = nullptr;
  for (const BadCell& cell : bad_)
    if (-dot(cell.centre, middle) < nearest.away) {
      nearest.away = -dot(cell.centre, middle);
      named = &cell;
    }
  MPI_Allreduce(MPI_IN_PLACE, &nearest, 1, MPI_DOUBLE_INT, MPI_MINLOC, comm_.get());
  std::string text;
  if (nearest.rank == comm_.rank() && named) {
    const bool is_length = named->field == "depth", is_speed = named->field.starts_with("velocity");
    const std::string value = std::isnan(named->value) ? "NaN"
                                                       : fmt::format("{:.4g}{}", named->value,
                                                                     is_length  ? " m"
                                                                     : is_speed ? " m/s"
                                                                                : "");
    text = fmt::format(
        "the solver on C{} blew up at {:.4f} h: {} is {} at tile {}, cell ({}, {}), {}{}{}; lower "
        "time.cfl",
        solver_.grid().n(), time_ / 3600, named->field, value, named->tile, named->j, named->i,
        place_text(named->centre),
        solver_.levels() > 1 ? fmt::format(", level {}", named->level) : std::string(),
        sums[3] > 1 ? fmt::format(", in the middle of {:.0f} bad cells", sums[3]) : std::string());
  }
  throw BlowUp(shared_text(text, comm_.get(), nearest.rank));
}

}  // namespace tramontane
