#include "ml/gradient_reduction.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>

#include "kernels/exact_sums.hpp"
#include "kernels/wait_scope.hpp"

#if defined(TRAMONTANE_HAS_NCCL)
#include "ml/nccl_reduction.hpp"
#endif

namespace tramontane {

std::vector<GradientBucket> gradient_buckets(const NetworkGraph& graph, std::size_t bytes) {
  std::vector<GradientBucket> buckets;
  std::size_t end = kExactStatus + graph.parameters();
  int last = static_cast<int>(graph.blocks.size());
  for (int block = last - 1; block >= 0; --block) {
    const std::size_t begin = kExactStatus + graph.blocks[block].offset;
    if (block > 0 && (end - begin) * sizeof(float) < bytes) continue;
    buckets.push_back({block == 0 ? 0 : begin, end, block, last});
    end = begin;
    last = block;
  }
  return buckets;
}

namespace {

/// One rank: its sums are everybody's.
class LocalReducer final : public GradientReducer {
 public:
  explicit LocalReducer(GradientBuffers buffers) : buffers_(std::move(buffers)) {}
  void start(std::size_t bucket) override {
    const GradientBucket& b = buffers_.buckets[bucket];
    in_space(buffers_.memory,
             [&](auto space) { exact_to_float<decltype(space)>(b.begin, b.end, buffers_.sums, buffers_.reduced); });
  }
  void finish() override {}
  bool on_device() const override { return buffers_.memory == Memory::device; }

 private:
  GradientBuffers buffers_;
};

template <class T>
using HostArray = Kokkos::View<T*, HostSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
template <class T>
using DeviceArray = Kokkos::View<T*, MemorySpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;

/// Each rank adds up its share of a bucket and the shares go round: all-to-all of integers, all-gather of numbers. Both
/// are non-blocking and move on when the processor looks after them: in start, progress and finish. All ranks must post
/// the collectives of a communicator in the same order, but which all-to-all is complete when a rank looks differs from
/// rank to rank: so the all-gathers have a communicator of their own, and are posted in the order of the buckets.
/// From a device, buckets pass through host memory, so that any MPI will do.
class MpiReducer final : public GradientReducer {
 public:
  MpiReducer(MPI_Comm learners, GradientBuffers buffers, double deadline_seconds)
      : scatter_comm_(learners), gather_comm_(learners), deadline_(deadline_seconds), buffers_(std::move(buffers)) {
    const std::size_t ranks = scatter_comm_.size();
    for (const GradientBucket& b : buffers_.buckets) {
      Transfer t;
      for (std::size_t rank = 0; rank <= ranks; ++rank)
        t.offsets.push_back(static_cast<int>((b.end - b.begin) * rank / ranks));
      for (std::size_t rank = 0; rank < ranks; ++rank) t.counts.push_back(t.offsets[rank + 1] - t.offsets[rank]);
      const std::size_t share = t.counts[scatter_comm_.rank()];
      t.received.resize(share * ranks);
      t.summed.resize(share);
      for (std::size_t rank = 0; rank < ranks; ++rank) {
        t.receive_counts.push_back(static_cast<int>(share));
        t.receive_offsets.push_back(static_cast<int>(share * rank));
      }
      transfers_.push_back(std::move(t));
    }
    if (buffers_.memory == Memory::device) {
      host_sums_.resize(buffers_.buckets.front().end);
      host_reduced_.resize(host_sums_.size());
    }
  }

  void start(std::size_t bucket) override {
    const GradientBucket& b = buffers_.buckets[bucket];
    Transfer& t = transfers_[bucket];
    const std::int64_t* sums = buffers_.sums;
    if (buffers_.memory == Memory::device) {
      Kokkos::deep_copy(HostArray<std::int64_t>(host_sums_.data() + b.begin, b.end - b.begin),
                        DeviceArray<const std::int64_t>(sums + b.begin, b.end - b.begin));
      sums = host_sums_.data();
    }
    MPI_Ialltoallv(sums + b.begin, t.counts.data(), t.offsets.data(), MPI_INT64_T, t.received.data(),
                   t.receive_counts.data(), t.receive_offsets.data(), MPI_INT64_T, scatter_comm_.get(), &t.request);
    t.stage = Stage::scatter;
    progress();
  }

  void progress() override {
    for (std::size_t k = 0; k < transfers_.size(); ++k) advance(k);
  }

  void finish() override {
    const double start = MPI_Wtime();
    const WaitScope wait("the gradients of the other learner ranks", scatter_comm_.get(), WaitScope::kAll, deadline_);
    auto busy = [&] {
      return std::any_of(transfers_.begin(), transfers_.end(),
                         [](const Transfer& t) { return t.stage != Stage::idle; });
    };
    for (long polls = 0;; ++polls) {
      progress();
      if (!busy()) break;
      if (MPI_Wtime() - start > deadline_)
        throw RunError(
            fmt::format("the gradient reduction of learner rank {} with {} others did not finish within {} s",
                        scatter_comm_.rank(), scatter_comm_.size() - 1, deadline_));
      // Ranks may share a core: give it to the peer that is being waited for.
      if (polls > 100) sched_yield();
    }
    next_gather_ = 0;
    if (buffers_.memory == Memory::device)
      Kokkos::deep_copy(DeviceArray<float>(buffers_.reduced, host_reduced_.size()),
                        HostArray<const float>(host_reduced_.data(), host_reduced_.size()));
  }

 private:
  enum class Stage { idle, scatter, gather };
  struct Transfer {
    std::vector<int> counts, offsets;                  ///< of the ranks' shares of the bucket
    std::vector<int> receive_counts, receive_offsets;  ///< of this rank's share from each rank
    std::vector<std::int64_t> received;
    std::vector<float> summed;
    MPI_Request request = MPI_REQUEST_NULL;
    Stage stage = Stage::idle;
  };

  /// Tests one bucket's transfer and takes it to its next stage if it is done.
  void advance(std::size_t bucket) {
    Transfer& t = transfers_[bucket];
    if (t.stage == Stage::idle) return;
    int done = 0;
    MPI_Test(&t.request, &done, MPI_STATUS_IGNORE);
    if (!done) return;
    if (t.stage == Stage::gather) {
      t.stage = Stage::idle;
      return;
    }
    if (bucket != next_gather_) return;
    for (int rank = 1; rank < scatter_comm_.size(); ++rank)
      for (std::size_t k = 0; k < t.summed.size(); ++k) t.received[k] += t.received[rank * t.summed.size() + k];
    exact_to_float<Kokkos::DefaultHostExecutionSpace>(0, t.summed.size(), t.received.data(), t.summed.data());
    float* reduced = buffers_.memory == Memory::device ? host_reduced_.data() : buffers_.reduced;
    MPI_Iallgatherv(t.summed.data(), static_cast<int>(t.summed.size()), MPI_FLOAT,
                    reduced + buffers_.buckets[bucket].begin, t.counts.data(), t.offsets.data(), MPI_FLOAT,
                    gather_comm_.get(), &t.request);
    t.stage = Stage::gather;
    ++next_gather_;
  }

  OwnedCommunicator scatter_comm_, gather_comm_;
  double deadline_;
  GradientBuffers buffers_;
  std::vector<Transfer> transfers_;
  std::size_t next_gather_ = 0;  ///< the bucket whose all-gather is to be posted next
  std::vector<std::int64_t> host_sums_;
  std::vector<float> host_reduced_;
};

}  // namespace

std::unique_ptr<GradientReducer> make_gradient_reducer(MPI_Comm learners, GradientBuffers buffers,
                                                       double deadline_seconds) {
  int ranks = 1;
  MPI_Comm_size(learners, &ranks);
  if (ranks == 1) return std::make_unique<LocalReducer>(std::move(buffers));
#if defined(TRAMONTANE_HAS_NCCL)
  if (auto reducer = make_nccl_reducer(learners, buffers, deadline_seconds)) return reducer;
#endif
  return std::make_unique<MpiReducer>(learners, std::move(buffers), deadline_seconds);
}

}  // namespace tramontane
