/// How one layer's cells become the next layer's padded input: halo fill, alone or composed with pooling or
/// upsampling, on tiles that are all local (training) or spread over ranks (inference).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/network_gather.hpp"
#include "kernels/tiling.hpp"
#include "ml/cell_table.hpp"
#include "ml/memory.hpp"
#include "ml/mpi_deadline.hpp"

namespace tramontane {

/// A cell table copied to the memory where it is used.
class GatherTable {
 public:
  GatherTable() = default;
  GatherTable(const CellTable& table, Memory memory);
  int rows() const { return rows_; }
  int columns() const { return columns_; }
  GatherRows view() const { return {rows_, row_begin_.data(), source_.data(), weight_.data()}; }

 private:
  int rows_ = 0, columns_ = 0;
  MemoryBuffer<int> row_begin_, source_;
  MemoryBuffer<float> weight_;
};

/// Channels of an array of cells: the part [offset, offset + count) of a storage of `stride` channels.
struct ChannelRange {
  int stride, offset, count;
};

/// Fills padded tiles (images, T + 2 border, T + 2 border, target.stride) from cells (images, S, S, source.stride),
/// where images are this rank's tiles in ascending order, repeated per sample. Channels outside the target's range stay
/// untouched. Arrays are in the memory that memory() names.
template <class Scalar>
class NetworkHalo {
 public:
  virtual ~NetworkHalo() = default;
  virtual const Tiling& grid() const = 0;
  virtual Memory memory() const = 0;
  virtual int images() const = 0;
  /// Panel of each image.
  virtual std::vector<int> panels() const = 0;
  virtual void fill(CellLink link, int level, const Scalar* source, ChannelRange from, Scalar* padded, ChannelRange to,
                    int border = 1) = 0;
};

/// All tiles of `samples` whole spheres in this process.
template <class Scalar>
class LocalHalo final : public NetworkHalo<Scalar> {
 public:
  LocalHalo(const Tiling& grid, int samples, Memory memory = Memory::host)
      : grid_(grid), samples_(samples), memory_(memory) {}
  const Tiling& grid() const override { return grid_; }
  Memory memory() const override { return memory_; }
  int images() const override { return samples_ * grid_.tile_count(); }
  std::vector<int> panels() const override;
  void fill(CellLink link, int level, const Scalar* source, ChannelRange from, Scalar* padded, ChannelRange to,
            int border = 1) override;

  /// The exact adjoint of fill, in gather form: cells = (accumulate ? cells : 0) + fill^T padded. If `output` is given
  /// (laid out as cells) the result is then multiplied by the activation's derivative at it.
  void adjoint(CellLink link, int level, const Scalar* padded, ChannelRange from, Scalar* cells, ChannelRange to,
               bool accumulate, const Scalar* output, ArithmeticOf<Scalar> slope, ArithmeticOf<Scalar> cap,
               int border = 1);

 private:
  struct Pair {
    GatherTable forward, backward;
  };
  const Pair& tables(CellLink link, int level, int border);

  Tiling grid_;
  int samples_;
  Memory memory_;
  std::map<std::tuple<CellLink, int, int>, Pair> tables_;
};

/// One sphere whose tiles are dealt to the ranks of a communicator as grid.owner says. Sums have the same order as on
/// one rank, so results carry the same bits on any number of ranks.
template <class Scalar>
class DistributedHalo final : public NetworkHalo<Scalar> {
 public:
  /// Collective. Throws InputError when grid.ranks is not the size of the communicator. A fill that waits longer than
  /// deadline_seconds for its peers throws RunError. From device memory, messages pass through host memory, so that
  /// any MPI will do.
  DistributedHalo(const Tiling& grid, MPI_Comm comm, double deadline_seconds, Memory memory = Memory::host);
  const Tiling& grid() const override { return grid_; }
  Memory memory() const override { return memory_; }
  int images() const override { return grid_.owned_count(comm_.rank()); }
  std::vector<int> panels() const override;
  /// Collective over the communicator.
  void fill(CellLink link, int level, const Scalar* source, ChannelRange from, Scalar* padded, ChannelRange to,
            int border = 1) override;

 private:
  struct Peer {
    int rank;
    int send_begin, send_count;  ///< among the plan's sent cells
    int receive_begin, receive_count;
  };
  struct Plan {
    GatherTable rows;         ///< own target rows; columns are own cells, then received ones
    MemoryBuffer<int> sends;  ///< own cells that peers need, by local index, peer by peer, ascending for each
    int own_cells = 0, sent_cells = 0, received_cells = 0;
    std::vector<Peer> peers;
    std::string waiting_for;  ///< named when a wait runs out of time
  };
  const Plan& plan(CellLink link, int level, int border);
  void reserve(std::size_t sent, std::size_t received);

  Tiling grid_;
  OwnedCommunicator comm_;
  double deadline_;
  Memory memory_;
  std::map<std::tuple<CellLink, int, int>, Plan> plans_;
  MemoryBuffer<Scalar> sent_, received_;
  std::vector<Scalar> host_sent_, host_received_;  ///< stops on the way from and to device memory
  std::vector<MPI_Request> requests_;
};

}  // namespace tramontane
