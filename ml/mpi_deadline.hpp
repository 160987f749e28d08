/// Waiting for MPI with a deadline: nothing in the library waits for ever on a rank that is gone.
#pragma once

#include <mpi.h>

#include <string>
#include <vector>

namespace tramontane {

/// Polls until all requests are complete. After `seconds` throws RunError: "<what> did not finish within ... s". The
/// requests are left as they are then: the run is lost and its buffers must outlive it. `comm` tells the watchdog whom the
/// rank waits for (kernels/wait_scope.hpp).
void wait_with_deadline(std::vector<MPI_Request>& requests, double seconds, const std::string& what,
                        MPI_Comm comm = MPI_COMM_NULL);

/// A duplicate of a communicator, freed with its owner, so that messages of one part never meet another's.
class OwnedCommunicator {
 public:
  explicit OwnedCommunicator(MPI_Comm parent);
  ~OwnedCommunicator();
  OwnedCommunicator(const OwnedCommunicator&) = delete;
  OwnedCommunicator& operator=(const OwnedCommunicator&) = delete;

  MPI_Comm get() const { return comm_; }
  int rank() const { return rank_; }
  int size() const { return size_; }

 private:
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
};

}  // namespace tramontane
