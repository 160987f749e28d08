/// How numbers leave the memory that kernels work on: copies that run beside the kernels, host memory that is fit for
/// them, and what the machine says that it can do.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "kernels/types.hpp"

namespace tramontane {

/// Whether the host reads what kernels write where it lies. A host build with TRAMONTANE_DEVICE_LAYOUT plays a device:
/// there it says no, and every copy ends as late as one may.
#if defined(TRAMONTANE_DEVICE_LAYOUT)
inline constexpr bool kHostReadsKernelMemory = false;
#else
inline constexpr bool kHostReadsKernelMemory = Kokkos::SpaceAccessibility<HostSpace, MemorySpace>::accessible;
#endif

/// Whether MPI may be handed the memory that kernels work on: always where that is the host's; else
/// MPIX_Query_cuda_support() is asked, where this MPI has it.
bool mpi_reads_kernel_memory();
/// The answer in words, for people: "not read by MPI (MPIX_Query_cuda_support)".
std::string mpi_and_gpu_memory();

/// Locks pages of host memory for a device, so that copies to them run at full speed and beside kernels. It is asked
/// for: where the machine refuses, the memory stays as it was and copies are slower.
class PageLock {
 public:
  PageLock(void* data, std::size_t bytes);
  ~PageLock();
  PageLock(const PageLock&) = delete;
  PageLock& operator=(const PageLock&) = delete;

  bool holds() const { return data_ != nullptr; }
  /// The machine's words; empty when the lock holds.
  const std::string& why_not() const { return why_not_; }

 private:
  void* data_ = nullptr;
  std::string why_not_;
};

/// Copies from the memory that kernels work on to the host's, on a stream of their own.
class DeviceCopy {
 public:
  DeviceCopy();
  /// Waits for what is on the way.
  ~DeviceCopy();
  DeviceCopy(const DeviceCopy&) = delete;
  DeviceCopy& operator=(const DeviceCopy&) = delete;

  /// Queues a copy behind all kernels that the default execution space has been given so far, and returns. Both arrays
  /// must stay until is_done(). Throws RunError when the device refuses.
  void start(void* host, const void* device, std::size_t bytes);
  /// Whether all copies have ended. Throws RunError when one failed.
  bool is_done();
  /// Waits until is_done(); past the deadline throws RunError. `what` fits "waits for <what>".
  void wait(const std::string& what, double deadline_seconds);
  /// Kernels that are queued from now on begin when the copies have ended: they may write where those read.
  void hold_kernels();

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
};

}  // namespace tramontane
