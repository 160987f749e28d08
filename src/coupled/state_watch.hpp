/// After every step all ranks learn whether any of them has reason to stop, at the cost of one small message that is
/// under way while the next step computes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/errors.hpp"
#include "ml/mpi_deadline.hpp"
#include "physics/state_check.hpp"

namespace tramontane {

/// A state is no longer finite, or its depth no longer positive. Thrown on every rank of the solver.
struct BlowUp : RunError {
  using RunError::RunError;
};

/// Longitude and latitude of a place, for people: "271.88 E 1.87 N".
std::string place_text(Vector3 place);

/// What ranks tell each other after a step; agreed is what any of them said.
struct StepFlags {
  bool stop = false;        ///< a signal asks the run to stop
  bool checkpoint = false;  ///< the wall clock asks for a checkpoint
};

/// Watches one solver's state. Calls are collective over the solver's ranks and come in the same order everywhere.
class StateWatch {
 public:
  /// @param deadline_seconds longest wait for the other ranks
  StateWatch(const ShallowWater& solver, double deadline_seconds);
  ~StateWatch();
  StateWatch(const StateWatch&) = delete;
  StateWatch& operator=(const StateWatch&) = delete;

  /// Looks at this rank's cells (see count_bad_cells) and starts to tell the others. finish() must come before the next
  /// start().
  void start(const State& state, double time_seconds, StepFlags mine);

  /// Waits for what start() began and returns the agreed flags; all false when there was no start() since.
  /// Throws BlowUp on every rank when any rank saw a bad cell, naming field, tile, cell, place and time, and RunError
  /// when the deadline passed. Trouble spreads by a stencil at every stage of a step, so of several bad cells the one nearest to
  /// their middle is named.
  StepFlags finish();

 private:
  [[noreturn]] void report();

  struct Message {
    int sent[3], agreed[3];
  };

  const ShallowWater& solver_;
  double deadline_;
  OwnedCommunicator comm_;
  std::unique_ptr<Message> message_ = std::make_unique<Message>();
  std::vector<MPI_Request> request_;  ///< empty or the one under way
  std::vector<BadCell> bad_;          ///< of the last state looked at
  double time_ = 0;
};

}  // namespace tramontane
