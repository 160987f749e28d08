/// Mean of a flat buffer over ranks, the same bits on every rank and from run to run.
#pragma once

#include <vector>

#include "ml/mpi_deadline.hpp"

namespace tramontane {

/// Each rank adds up its share of the buffer in rank order, in double precision, and the shares go round: as much
/// traffic as the best all-reduce, but an order of summation that is ours and not the MPI library's.
class GradientReducer {
 public:
  /// Collective. `size`: elements of the buffer.
  GradientReducer(MPI_Comm comm, std::size_t size, double deadline_seconds);
  int ranks() const { return comm_.size(); }
  int rank() const { return comm_.rank(); }
  MPI_Comm communicator() const { return comm_.get(); }
  /// Collective. Throws RunError when the other ranks do not answer in time.
  void mean(std::vector<float>& values);

 private:
  OwnedCommunicator comm_;
  double deadline_;
  std::size_t size_, share_;
  std::vector<float> padded_, received_, summed_;
  std::vector<MPI_Request> requests_;
};

}  // namespace tramontane
