/// Ends a job that hangs, and says where every rank was (docs/design/watchdog.md).
#pragma once

#include <mpi.h>

#include <memory>
#include <string>
#include <vector>

#include "src/program/watchdog_picture.hpp"

namespace tramontane {

/// A thread in every process that looks after the waits of its main thread (kernels/wait_scope.hpp). One that has
/// waited past the deadline tells the first rank that answers; that one asks all ranks for their places over sockets,
/// judges, and when the job hangs prints the picture, has everybody save what is registered (src/program/emergency.hpp)
/// and ends all processes with exit code 3.
class Watchdog {
 public:
  /// Starts the thread. Collective over MPI_COMM_WORLD, by which ranks are numbered at first.
  explicit Watchdog(double deadline_seconds);
  /// Joins it. The process need not be in MPI any more.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Ranks have these numbers and roles from now on, and waits this deadline. Local, on all ranks alike.
  /// @param world_ranks MPI's number of every job rank
  void know_job(const std::vector<int>& world_ranks, const std::vector<std::string>& roles, int own_rank,
                double deadline_seconds);
  /// The run copes with the loss of these job ranks: alarms of theirs, and their silence, do not end the job. Local; it
  /// counts on the rank that leads, in general rank 0. An empty list takes it back.
  void contain(std::vector<int> ranks);
  /// The error of this rank ends the job, and the others can not be reached through MPI: prints every rank's place and
  /// `error` as the reason, saves and ends all processes. Returns false when that fails within some seconds; else it
  /// does not return.
  bool end_job(const std::string& error);

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

/// The process's watchdog, if it has one.
Watchdog* watchdog();

}  // namespace tramontane
