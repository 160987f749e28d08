#include "kernels/device_copy.hpp"

#include <mpi.h>

#include <chrono>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/errors.hpp"
#include "kernels/wait_scope.hpp"

#if __has_include(<mpi-ext.h>)
#include <mpi-ext.h>
#endif
#if defined(KOKKOS_ENABLE_CUDA)
#include <cuda_runtime.h>
#endif

namespace tramontane {

namespace {

/// Nothing where this MPI has no such question.
std::optional<bool> mpi_reads_gpu_memory() {
#if defined(MPIX_CUDA_AWARE_SUPPORT)
  return MPIX_Query_cuda_support() == 1;
#else
  return {};
#endif
}

}  // namespace

bool mpi_reads_kernel_memory() {
  return Kokkos::SpaceAccessibility<HostSpace, MemorySpace>::accessible || mpi_reads_gpu_memory().value_or(false);
}

std::string mpi_and_gpu_memory() {
  const std::optional<bool> answer = mpi_reads_gpu_memory();
  if (!answer) return "not read by MPI as far as it says: it has no MPIX_Query_cuda_support";
  return *answer ? "read by MPI (MPIX_Query_cuda_support)" : "not read by MPI (MPIX_Query_cuda_support)";
}

#if defined(KOKKOS_ENABLE_CUDA)

namespace {

void check(cudaError_t status, const char* call) {
  if (status != cudaSuccess)
    throw RunError(std::string(call) + " of a sample to the host failed: " + cudaGetErrorString(status));
}

}  // namespace

PageLock::PageLock(void* data, std::size_t bytes) {
  if (const cudaError_t status = cudaHostRegister(data, bytes, cudaHostRegisterPortable); status == cudaSuccess) {
    data_ = data;
  } else {
    why_not_ = std::string("cudaHostRegister: ") + cudaGetErrorString(status);
    cudaGetLastError();  // a refusal leaves an error behind that is not the next call's
  }
}

PageLock::~PageLock() {
  if (data_) cudaHostUnregister(data_);
}

struct DeviceCopy::Stream {
  cudaStream_t copies = nullptr;
  cudaEvent_t ready = nullptr, done = nullptr;

  Stream() {
    // Not the stream that the kernels use, nor one that waits for it by itself: the next kernels run beside the copies.
    check(cudaStreamCreateWithFlags(&copies, cudaStreamNonBlocking), "cudaStreamCreate for the copies");
    check(cudaEventCreateWithFlags(&ready, cudaEventDisableTiming), "cudaEventCreate for the copies");
    check(cudaEventCreateWithFlags(&done, cudaEventDisableTiming), "cudaEventCreate for the copies");
  }
  ~Stream() {
    cudaStreamSynchronize(copies);
    cudaEventDestroy(done);
    cudaEventDestroy(ready);
    cudaStreamDestroy(copies);
  }
  static cudaStream_t kernels() { return ExecutionSpace().cuda_stream(); }
};

void DeviceCopy::start(void* host, const void* device, std::size_t bytes) {
  Stream& s = *stream_;
  check(cudaEventRecord(s.ready, Stream::kernels()), "cudaEventRecord before the copy");
  check(cudaStreamWaitEvent(s.copies, s.ready), "cudaStreamWaitEvent before the copy");
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, s.copies), "cudaMemcpyAsync");
  check(cudaEventRecord(s.done, s.copies), "cudaEventRecord behind the copy");
}

bool DeviceCopy::is_done() {
  const cudaError_t status = cudaEventQuery(stream_->done);  // of an event that was never recorded: success
  if (status == cudaErrorNotReady) return false;
  check(status, "the copy");
  return true;
}

void DeviceCopy::hold_kernels() {
  check(cudaStreamWaitEvent(Stream::kernels(), stream_->done), "cudaStreamWaitEvent behind the copy");
}

#else

PageLock::PageLock([[maybe_unused]] void* data, std::size_t) {
  if constexpr (kHostReadsKernelMemory || !Kokkos::SpaceAccessibility<HostSpace, MemorySpace>::accessible)
    why_not_ = "this build asks no device for it";
  else
    data_ = data;  // the device is played
}

PageLock::~PageLock() = default;

/// Without a stream to queue them on, copies are made when they are looked for the second time, the latest moment that
/// a device may choose: whoever reads or writes too early gets wrong numbers.
struct DeviceCopy::Stream {
  struct Pending {
    void* host;
    const void* device;
    std::size_t bytes;
  };
  std::vector<Pending> pending;
  bool was_looked_for = false;

  void finish() {
    using Bytes = Kokkos::View<std::byte*, HostSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
    using DeviceBytes = Kokkos::View<const std::byte*, MemorySpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
    for (const Pending& p : std::exchange(pending, {}))
      Kokkos::deep_copy(Bytes(static_cast<std::byte*>(p.host), p.bytes),
                        DeviceBytes(static_cast<const std::byte*>(p.device), p.bytes));
    was_looked_for = false;
  }
};

void DeviceCopy::start(void* host, const void* device, std::size_t bytes) {
  stream_->pending.push_back({host, device, bytes});
  stream_->was_looked_for = false;
}

bool DeviceCopy::is_done() {
  if (!stream_->pending.empty() && !std::exchange(stream_->was_looked_for, true)) return false;
  stream_->finish();
  return true;
}

void DeviceCopy::hold_kernels() {
  stream_->finish();
}

#endif

DeviceCopy::DeviceCopy() : stream_(std::make_unique<Stream>()) {}
DeviceCopy::~DeviceCopy() = default;

void DeviceCopy::wait(const std::string& what, double deadline_seconds) {
  const WaitScope scope(what, MPI_COMM_NULL, WaitScope::kAll, deadline_seconds);
  const auto start = std::chrono::steady_clock::now();
  // Some ten microseconds as a rule: shorter than the shortest sleep.
  while (!is_done()) {
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > deadline_seconds)
      throw RunError("a rank has waited longer than " + std::to_string(deadline_seconds) + " s for " + what);
    std::this_thread::yield();
  }
}

}  // namespace tramontane
