/// Delivers values that live at numbered points to the ranks that need them, through MPI point-to-point messages.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/types.hpp"

namespace tramontane {

/// Set up once from the global numbers of the points a rank needs; each exchange then fills a pool with the points'
/// components, in the order of the sorted needed numbers. Points that the rank owns itself take the same path without
/// MPI, so that a ghost value never depends on who owned its source.
///
/// Pool layout: (component, needed point). Messages travel through host memory.
class PointExchange {
 public:
  /// @param needed global numbers, sorted and unique
  /// @param owner rank of `comm` that owns a number
  /// @param slot local index of an owned number, as the packing kernel understands it
  /// @param deadline_seconds longest wait for a peer; past it RunError names the peers
  PointExchange(MPI_Comm comm, std::vector<std::int64_t> needed, const std::function<int(std::int64_t)>& owner,
                const std::function<int(std::int64_t)>& slot, int components, double deadline_seconds = 300.0);

  /// Position in the pool of a needed number.
  int pool_index(std::int64_t number) const;

  /// Local slots to pack, in send order; the caller packs component c of slot k to packed()(c, k).
  const View<int*>& slots() const { return slots_; }
  const View<double**>& packed() const { return packed_; }
  const View<double**>& pool() const { return pool_; }

  /// Starts sending what packed() holds. Fences the device first.
  void start();
  /// Waits until the pool is complete. Throws RunError past the deadline.
  void finish();

 private:
  struct Peer {
    int rank;
    int send_begin, send_count;        // positions in slots_
    int receive_begin, receive_count;  // positions in receive order
  };

  MPI_Comm comm_;
  int rank_ = 0;
  int components_;
  double deadline_;
  std::vector<std::int64_t> needed_;
  std::vector<Peer> peers_;
  View<int*> slots_;            // packed order: by peer, this rank's own share included
  View<double**> packed_;       // (component, slot)
  View<int*> arrival_to_pool_;  // receive order -> pool position
  View<double**> pool_;         // (component, needed)
  std::vector<double> send_buffer_, receive_buffer_;
  HostView<double**> packed_host_, arrived_host_;
  View<double**> arrived_;  // (component, receive order)
  std::vector<MPI_Request> requests_;
};

}  // namespace tramontane
