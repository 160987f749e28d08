#include "ml/nccl_reduction.hpp"

#include <cuda_runtime.h>
#include <fmt/format.h>
#include <nccl.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <utility>
#include <vector>

#include "kernels/exact_sums.hpp"
#include "kernels/wait_scope.hpp"
#include "ml/device_sharing.hpp"
#include "ml/notices.hpp"

namespace tramontane {
namespace {

void check(cudaError_t status, const char* call) {
  if (status != cudaSuccess) throw RunError(fmt::format("{} failed: {}", call, cudaGetErrorString(status)));
}

/// Host and place on its bus: what NCCL itself tells devices apart by.
std::string device_name() {
  std::array<char, 128> host{}, bus{};
  gethostname(host.data(), host.size() - 1);
  check(cudaDeviceGetPCIBusId(bus.data(), static_cast<int>(bus.size()), ExecutionSpace().cuda_device()),
        "cudaDeviceGetPCIBusId");
  return fmt::format("{} on {}", bus.data(), host.data());
}

/// A non-blocking communicator. Calls return at once; await says when NCCL is done with one.
class NcclCommunicator {
 public:
  NcclCommunicator(int rank, int ranks, std::string device, double deadline_seconds)
      : rank_(rank), ranks_(ranks), device_(std::move(device)), deadline_(deadline_seconds) {}
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;
  ~NcclCommunicator() {
    // Before MPI's end, and bounded like every other wait: a peer may be gone.
    if (comm_ == nullptr) return;
    try {
      await(ncclCommFinalize(comm_), "ncclCommFinalize");
      ncclCommDestroy(comm_);
    } catch (const RunError&) {  // aborted by then
    }
  }

  void start(const ncclUniqueId& id) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    await(ncclCommInitRankConfig(&comm_, ranks_, id, rank_, &config), "ncclCommInitRankConfig");
  }

  ncclComm_t get() const { return comm_; }

  /// Waits until NCCL has taken in what `call` returned `result` for.
  void await(ncclResult_t result, const char* call) {
    const double start = MPI_Wtime();
    const WaitScope wait(call, MPI_COMM_NULL, WaitScope::kAll, deadline_);
    while (result == ncclInProgress) {
      const ncclResult_t asked = ncclCommGetAsyncError(comm_, &result);
      if (asked != ncclSuccess) result = asked;
      if (result == ncclInProgress) pause(start, call);
    }
    if (result != ncclSuccess) fail(fmt::format("{} failed: {}", call, ncclGetErrorString(result)));
  }

  /// Throws if NCCL has noticed that something went wrong meanwhile.
  void check_health(const char* what) {
    ncclResult_t result = ncclSuccess;
    const ncclResult_t asked = ncclCommGetAsyncError(comm_, &result);
    if (asked != ncclSuccess) result = asked;
    if (result != ncclSuccess && result != ncclInProgress)
      fail(fmt::format("{} failed: {}", what, ncclGetErrorString(result)));
  }

  /// One turn of a wait that began at `start`. MPI gets a look in: messages to this rank must not starve.
  void pause(double start, const char* what) {
    int found = 0;
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &found, MPI_STATUS_IGNORE);
    if (MPI_Wtime() - start > deadline_) fail(fmt::format("{} did not finish within {} s", what, deadline_));
    sched_yield();
  }

 private:
  [[noreturn]] void fail(const std::string& what) {
    const char* words = comm_ ? ncclGetLastError(comm_) : nullptr;
    const std::string said = words && *words ? fmt::format(" ({})", words) : "";
    // Ends the kernels that wait for peers, so that nobody hangs in a later synchronisation.
    if (comm_) ncclCommAbort(std::exchange(comm_, nullptr));
    throw RunError(fmt::format("the gradient reduction of learner rank {} (GPU {}) with {} others: {}{}", rank_,
                               device_, ranks_ - 1, what, said));
  }

  int rank_, ranks_;
  std::string device_;
  double deadline_;
  ncclComm_t comm_ = nullptr;
};

class Event {
 public:
  Event() { check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreate"); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { cudaEventDestroy(event_); }
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate"); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { cudaStreamDestroy(stream_); }
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

class NcclReducer final : public GradientReducer {
 public:
  NcclReducer(std::unique_ptr<NcclCommunicator> comm, GradientBuffers buffers, double deadline_seconds)
      : comm_(std::move(comm)),
        deadline_(deadline_seconds),
        buffers_(std::move(buffers)),
        complete_(buffers_.buckets.size()),
        totals_("totals of gradients", buffers_.buckets.front().end, Memory::device) {}

  // The reduction of a bucket starts as soon as the default instance has come past this call. In a step that is being
  // captured the events become edges of the graph.
  void start(std::size_t bucket) override {
    const GradientBucket& b = buffers_.buckets[bucket];
    check(cudaEventRecord(complete_[bucket].get(), compute_stream()), "cudaEventRecord");
    check(cudaStreamWaitEvent(stream_.get(), complete_[bucket].get()), "cudaStreamWaitEvent");
    comm_->await(ncclAllReduce(buffers_.sums + b.begin, totals_.data() + b.begin, b.end - b.begin, ncclInt64, ncclSum,
                               comm_->get(), stream_.get()),
                 "ncclAllReduce");
  }

  void finish() override {
    check(cudaEventRecord(reduced_.get(), stream_.get()), "cudaEventRecord");
    check(cudaStreamWaitEvent(compute_stream(), reduced_.get()), "cudaStreamWaitEvent");
    exact_to_float<ExecutionSpace>(0, totals_.size(), totals_.data(), buffers_.reduced);
  }

  bool on_device() const override { return true; }

  void await() override {
    check(cudaEventRecord(queued_.get(), compute_stream()), "cudaEventRecord");
    const double start = MPI_Wtime();
    for (cudaError_t status; (status = cudaEventQuery(queued_.get())) != cudaSuccess;) {
      if (status != cudaErrorNotReady) check(status, "a kernel of the training step");
      comm_->check_health("the reduction");
      comm_->pause(start, "the training step");
    }
  }

 private:
  static cudaStream_t compute_stream() { return ExecutionSpace().cuda_stream(); }

  std::unique_ptr<NcclCommunicator> comm_;
  double deadline_;
  GradientBuffers buffers_;
  Stream stream_;
  std::vector<Event> complete_;
  Event reduced_, queued_;
  MemoryBuffer<std::int64_t> totals_;
};

/// Whether all ranks say yes.
bool all_agree(bool yes, MPI_Comm comm, double deadline_seconds) {
  int mine = yes ? 1 : 0, all = 0;
  std::vector<MPI_Request> requests(1);
  MPI_Iallreduce(&mine, &all, 1, MPI_INT, MPI_MIN, comm, &requests[0]);
  wait_with_deadline(requests, deadline_seconds, "the start of NCCL on the learner ranks", comm);
  return all != 0;
}

}  // namespace

std::unique_ptr<GradientReducer> make_nccl_reducer(MPI_Comm learners, GradientBuffers buffers,
                                                   double deadline_seconds) {
  if (buffers.memory != Memory::device) return nullptr;
  int rank = 0, ranks = 1;
  MPI_Comm_rank(learners, &rank);
  MPI_Comm_size(learners, &ranks);
  const auto say = [&](const std::string& reason) {
    if (rank == 0) notice(fmt::format("gradients are reduced through MPI, not NCCL: {}", reason));
  };
  const std::string device = device_name();
  if (const SharedDevice shared = find_shared_device(gather_texts(device, learners, deadline_seconds))) {
    say(fmt::format("learner ranks {} and {} share GPU {}, which NCCL refuses", shared.first, shared.second,
                    shared.device));
    return nullptr;
  }
  ncclUniqueId id{};
  const bool made = rank != 0 || ncclGetUniqueId(&id) == ncclSuccess;
  std::vector<MPI_Request> requests(1);
  MPI_Ibcast(&id, sizeof id, MPI_BYTE, 0, learners, &requests[0]);
  wait_with_deadline(requests, deadline_seconds, "NCCL's identity from learner rank 0", learners);
  auto comm = std::make_unique<NcclCommunicator>(rank, ranks, device, deadline_seconds);
  std::string reason;
  if (all_agree(made, learners, deadline_seconds)) {
    try {
      comm->start(id);
    } catch (const RunError& error) {
      reason = error.what();
    }
  } else {
    reason = "ncclGetUniqueId failed on learner rank 0";
  }
  if (all_agree(reason.empty(), learners, deadline_seconds + deadline_seconds))
    return std::make_unique<NcclReducer>(std::move(comm), std::move(buffers), deadline_seconds);
  say(reason.empty() ? "another learner rank could not start NCCL" : reason);
  return nullptr;
}

std::string nccl_version_text() {
  const auto text = [](int code) { return fmt::format("{}.{}.{}", code / 10000, code / 100 % 100, code % 100); };
  int found = 0;
  ncclGetVersion(&found);
  return fmt::format("{} built, {} found", text(NCCL_VERSION_CODE), text(found));
}

}  // namespace tramontane
