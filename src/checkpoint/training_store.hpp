/// The checkpoints of a training: which one it continues from, when the next is due, how many are kept.
#pragma once

#include <mpi.h>

#include <optional>
#include <string>
#include <vector>

#include "src/checkpoint/training_checkpoint.hpp"
#include "src/deck/deck.hpp"

namespace tramontane {

/// Files training-<steps>.h5 of a folder, newest first. Call on one rank.
std::vector<std::string> list_training_checkpoints(const std::string& folder);

/// The weights are the same on every rank, so rank 0 writes. Calls are collective over `comm` unless said otherwise.
class TrainingStore {
 public:
  TrainingStore(const Deck& deck, TrainingIdentity own, MPI_Comm comm);

  /// The checkpoint that learner.resume asks for, on every rank; nothing when it asks for none or there is none. A
  /// damaged file is passed over for the older one, with a warning. Throws InputError when no file that is there is
  /// whole, and when the newest whole one is of another training.
  std::optional<TrainingCheckpoint> find();

  /// Makes the folder and starts the clock. Checkpoints of an earlier training that is not continued are moved to the
  /// folder training-checkpoints-earlier. Throws InputError when the folder can not be made.
  void open();

  /// Whether rank 0's clock asks for a checkpoint. Local.
  bool is_due() const;
  /// Writes a checkpoint, its identity filled in, and removes those that are no longer kept. When that fails the
  /// training may go on: rank 0 warns, the earlier ones stay, and false is returned on every rank.
  bool write(TrainingCheckpoint checkpoint);

  /// The last checkpoint that was written or continued from; empty when there is none.
  const std::string& last() const { return last_; }

 private:
  const Deck& deck_;
  TrainingIdentity own_;
  MPI_Comm comm_;
  int rank_ = 0;
  std::string folder_, last_;
  double clock_ = 0;
};

}  // namespace tramontane
