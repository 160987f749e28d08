/// Sum of a step's gradients over the learner ranks, bucket by bucket while the backward pass is still at work.
///
/// What is summed are the integers of kernels/exact_sums.hpp, so any order of summation and any algorithm gives the
/// same bits: a reducer is free to use whatever its library does fastest.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ml/memory.hpp"
#include "ml/mpi_deadline.hpp"
#include "ml/network_graph.hpp"

namespace tramontane {

/// A contiguous part of the flat buffers that is reduced at once, and the parameter blocks in it.
struct GradientBucket {
  std::size_t begin, end;  ///< elements of the buffers, status elements counted
  int first_block, last_block;
};

/// Cuts the flat buffers into buckets of at least `bytes` bytes of single-precision gradients each (the last one may be
/// smaller), in the order in which a backward pass completes them: last block first. The status elements, which stand
/// before the gradients, belong to the last bucket.
std::vector<GradientBucket> gradient_buckets(const NetworkGraph& graph, std::size_t bytes);

/// What a reducer works on, in the network's memory: kExactStatus status elements, then the parameters' gradients.
struct GradientBuffers {
  Memory memory;
  const std::int64_t* sums;  ///< of this rank's samples
  float* reduced;            ///< of all ranks' samples
  std::vector<GradientBucket> buckets;
};

/// One reducer serves one pair of buffers for all steps. Every step calls start once for each bucket, in order, then
/// finish, on every rank.
class GradientReducer {
 public:
  virtual ~GradientReducer() = default;
  /// Bucket `bucket` of the sums is complete, on a device as far as kernels on Kokkos' default instance are concerned,
  /// and nobody writes there before finish() has returned. Returns at once.
  virtual void start(std::size_t bucket) = 0;
  /// Called between the layers of the backward pass, for a reducer that needs the processor to get on.
  virtual void progress() {}
  /// Whether start and finish do no more than queue work on the device, so that a step can be recorded with them.
  virtual bool on_device() const { return false; }
  /// Waits, within the deadline, for what has been queued on the device: to be called before the host waits in a way
  /// that has none. Throws RunError as finish does.
  virtual void await() {}
  /// Returns when every bucket of `reduced` holds the sum over all ranks as single-precision numbers, on a device as
  /// far as kernels that are put on Kokkos' default instance from now on are concerned. Throws RunError when the other
  /// ranks do not answer in time.
  virtual void finish() = 0;
};

/// Through NCCL where it can serve (ml/nccl_reduction.hpp), else through MPI, or with one rank by no more than a
/// conversion. Collective; `learners` is the reducer's own to use.
std::unique_ptr<GradientReducer> make_gradient_reducer(MPI_Comm learners, GradientBuffers buffers,
                                                       double deadline_seconds);

}  // namespace tramontane
