/// Sum of a step's gradients over the learner ranks by NCCL, from device to device.
#pragma once

#include <memory>
#include <string>

#include "ml/gradient_reduction.hpp"

namespace tramontane {

/// The communicator is non-blocking and every wait for it has the deadline: past it, or when NCCL reports an error, it
/// is aborted and a RunError names the rank, its GPU and NCCL's own words. Reductions run on a stream of their own
/// beside the backward pass. What is summed are integers, so NCCL's order of summation decides no bit.
///
/// Null when NCCL cannot serve: buffers on the host, two ranks on one GPU, or a communicator that could not be made;
/// all ranks then agree on that, and rank 0 says the reason once (ml/notices.hpp) where it is not obvious. Collective;
/// `learners` is used during the call alone.
std::unique_ptr<GradientReducer> make_nccl_reducer(MPI_Comm learners, GradientBuffers buffers, double deadline_seconds);

/// "2.28.9 built, 2.28.9 found".
std::string nccl_version_text();

}  // namespace tramontane
