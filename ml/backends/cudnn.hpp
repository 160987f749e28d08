/// The cuDNN 9 back end: convolutions on a GPU, fused with bias and activation where an engine can. Only its
/// implementation sees cuDNN's headers.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "ml/backend.hpp"

namespace tramontane {

struct CudnnOptions {
  /// Let float convolutions round their inputs to the 10 bits of tf32, which tensor cores take; bf16 ignores it.
  bool tf32 = false;
  /// Time the engines that cuDNN's heuristics propose and take the fastest; without, the first one that works. Which
  /// one wins may differ from run to run, and engines differ by round-off: a deterministic run must not measure.
  bool measure = true;
  /// File of measured engines; "" keeps them in memory.
  std::string cache_file;
  /// Engines that want more work space are left out.
  std::size_t workspace_bytes = std::size_t{512} << 20;
};

/// Scalar is float or Bfloat16 (parameters in float). Arrays are in device memory, and calls are queued on Kokkos'
/// default instance. Only engines whose results are reproducible are used. Throws RunError, with the call and cuDNN's
/// own words, when cuDNN cannot be started; its convolution() throws InputError for a shape that no engine takes.
///
/// An engine is chosen at the first call of each operation, with that call's arrays: a step must have run once before
/// it is captured in a graph.
template <class Scalar>
std::shared_ptr<Backend<Scalar>> make_cudnn_backend(const CudnnOptions& options);

/// "9.19.0 built, 9.19.0 found, frontend 1.32.0".
std::string cudnn_version_text();

}  // namespace tramontane
