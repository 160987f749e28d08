/// Delivers values that live at numbered points to the ranks that need them, through MPI point-to-point messages.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/types.hpp"

namespace tramontane {

/// Host buffers of messages that come from a device: page-locked, so that it copies at full speed.
#if defined(KOKKOS_HAS_SHARED_HOST_PINNED_SPACE)
using MessageView = Kokkos::View<Real**, Kokkos::LayoutRight, Kokkos::SharedHostPinnedSpace>;
#elif defined(KOKKOS_ENABLE_CUDA)
using MessageView = Kokkos::View<Real**, Kokkos::LayoutRight, Kokkos::CudaHostPinnedSpace>;
#else
using MessageView = HostView<Real**>;
#endif

/// Set up once from the global numbers of the points a rank needs. Each exchange then reads owned points by
/// `read(component, slot)` and hands in needed ones by `write(component, target, value)`; both are called in kernels.
/// Points that the rank owns itself are copied on the device; only the others travel, packed and unpacked on the
/// device. Where MPI reads device memory the messages do not touch the host, elsewhere they go through page-locked host
/// memory, all peers' values in one copy each way.
class PointExchange {
 public:
  /// @param needed global numbers; target position k receives needed[k]
  /// @param owner rank of `comm` that owns a number
  /// @param slot where `read` finds an owned number
  /// @param targets number that `write` gets for each needed one; empty: its position in `needed`
  /// @param deadline_seconds longest wait for a peer; past it RunError names the peers
  PointExchange(MPI_Comm comm, const std::vector<std::int64_t>& needed, const std::function<int(std::int64_t)>& owner,
                const std::function<int(std::int64_t)>& slot, int components, double deadline_seconds = 300.0,
                const std::vector<int>& targets = {});

  /// Sends the owned points that others need and starts to receive.
  template <class Read>
  void start(const Read& read) {
    if (peers_.empty()) return;
    const auto slots = send_slots_;
    const auto outgoing = outgoing_;
    const int components = components_;
    Kokkos::parallel_for(
        "exchange: pack", Kokkos::RangePolicy<ExecutionSpace>(0, static_cast<int>(slots.extent(0))),
        KOKKOS_LAMBDA(int k) {
          for (int c = 0; c < components; ++c) outgoing(k, c) = read(c, slots(k));
        });
    send();
  }

  /// Copies the rank's own share.
  template <class Read, class Write>
  void copy_local(const Read& read, const Write& write) const {
    const auto pairs = local_;
    const int components = components_;
    Kokkos::parallel_for(
        "exchange: own share", Kokkos::RangePolicy<ExecutionSpace>(0, static_cast<int>(pairs.extent(0))),
        KOKKOS_LAMBDA(int k) {
          for (int c = 0; c < components; ++c) write(c, pairs(k, 1), read(c, pairs(k, 0)));
        });
  }

  /// Waits for the others' share and unpacks it. Throws RunError past the deadline.
  template <class Write>
  void finish(const Write& write) {
    if (peers_.empty()) return;
    receive();
    const auto targets = receive_targets_;
    const auto incoming = incoming_;
    const int components = components_;
    Kokkos::parallel_for(
        "exchange: unpack", Kokkos::RangePolicy<ExecutionSpace>(0, static_cast<int>(targets.extent(0))),
        KOKKOS_LAMBDA(int k) {
          for (int c = 0; c < components; ++c) write(c, targets(k), incoming(k, c));
        });
  }

  /// Whether some needed point lies on another rank.
  bool has_remote() const { return !peers_.empty(); }

 private:
  struct Peer {
    int rank;
    int send_begin, send_count;        ///< positions in send_slots_
    int receive_begin, receive_count;  ///< positions in receive_targets_
  };
  void send();
  void receive();

  MPI_Comm comm_;
  int rank_ = 0;
  int components_;
  double deadline_;
  bool device_messages_;  ///< MPI may be handed device memory
  std::vector<Peer> peers_;
  View<int* [2]> local_;  ///< (point, {slot, target}) that this rank owns itself
  View<int*> send_slots_, receive_targets_;
  View<Real**> outgoing_, incoming_;           ///< (point, component): a peer's points are contiguous
  MessageView outgoing_host_, incoming_host_;  ///< where MPI reads no device memory; else empty
  std::vector<MPI_Request> requests_;
};

}  // namespace tramontane
