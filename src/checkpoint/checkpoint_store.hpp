/// The checkpoints of one run folder: when they are due, how many are kept, which one a run continues from.
#pragma once

#include <mpi.h>

#include <optional>
#include <string>
#include <vector>

#include "src/checkpoint/checkpoint.hpp"
#include "src/deck/deck.hpp"

namespace tramontane {

/// Checkpoints of a folder, newest (most steps) first: files named checkpoint-<steps>.h5. Call on one rank.
std::vector<std::string> list_checkpoints(const std::string& folder);

/// Calls are collective over `comm` unless said otherwise.
class CheckpointStore {
 public:
  CheckpointStore(const Deck& deck, MPI_Comm comm);

  /// The checkpoint that checkpoint.resume asks for; nothing when it asks for none, or auto finds none. A file that is
  /// damaged is passed over for the next older one in its folder, with a warning. Throws InputError when none of those
  /// that are there is whole, when the named one is not there, and when one is of another format.
  std::optional<std::string> find() const;

  /// Makes the folder and starts the clocks. When the run starts anew, checkpoints that an earlier run left there are
  /// moved to the folder checkpoints-earlier. Throws InputError when the folder can not be made.
  /// @param continued path of the checkpoint that the run continues from, empty when it starts anew
  void open(const std::string& continued, double time_seconds);

  /// Whether model time asks for a checkpoint. Local.
  bool is_due(double time_seconds) const { return deck_.checkpoint_every() && time_seconds >= next_time_ - 1e-6; }
  /// Whether this rank's clock asks for one; rank 0's counts. Local.
  bool is_due_by_clock() const;

  /// Writes a checkpoint and removes those that are no longer kept. When that fails the run may go on: rank 0 warns,
  /// the earlier ones stay, and false is returned on every rank.
  bool write(const Checkpoint& checkpoint, const ShallowWater& solver, const State& state);

  /// The last checkpoint that was written or continued from; empty when there is none.
  const std::string& last() const { return last_; }

 private:
  void restart_clocks(double time_seconds);

  const Deck& deck_;
  MPI_Comm comm_;
  int rank_ = 0;
  std::string folder_, last_;
  double next_time_ = 0, clock_ = 0;
};

}  // namespace tramontane
