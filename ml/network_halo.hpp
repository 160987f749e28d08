/// How one layer's cells become the next layer's padded input: halo fill, alone or composed with pooling or
/// upsampling, on tiles that are all local (training) or spread over ranks (inference).
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "kernels/network_gather.hpp"
#include "kernels/tiling.hpp"
#include "ml/cell_table.hpp"
#include "ml/memory.hpp"
#include "ml/mpi_deadline.hpp"

namespace tramontane {

/// What lies between two layers. The composed links do in one pass what would else be two.
enum class CellLink { halo, pool_halo, upsample_halo };

/// The matrix of a link. `grid` is the full-resolution grid, `level` the level of the padded target (resolution
/// n / 2^level); the source lives on level, level - 1 (pool) or level + 1 (upsample).
CellTable link_table(const Tiling& grid, int level, CellLink link);

/// Channels of an array of cells: the part [offset, offset + count) of a storage of `stride` channels.
struct ChannelRange {
  int stride, offset, count;
};

/// Fills padded tiles (images, T + 2, T + 2, target.stride) from cells (images, S, S, source.stride), where images are
/// this rank's tiles in ascending order, repeated per sample. Channels outside the target's range stay untouched.
template <class Scalar>
class NetworkHalo {
 public:
  virtual ~NetworkHalo() = default;
  virtual const Tiling& grid() const = 0;
  virtual int images() const = 0;
  virtual void fill(CellLink link, int level, const Scalar* source, ChannelRange from, Scalar* padded,
                    ChannelRange to) = 0;
};

/// All tiles of `samples` whole spheres in this process.
template <class Scalar>
class LocalHalo final : public NetworkHalo<Scalar> {
 public:
  LocalHalo(const Tiling& grid, int samples, Memory = Memory::host) : grid_(grid), samples_(samples) {}
  const Tiling& grid() const override { return grid_; }
  int images() const override { return samples_ * grid_.tile_count(); }
  void fill(CellLink link, int level, const Scalar* source, ChannelRange from, Scalar* padded,
            ChannelRange to) override;

  /// The exact adjoint of fill, in gather form: cells = (accumulate ? cells : 0) + fill^T padded. If `output` is given
  /// (laid out as cells) the result is then multiplied by the activation's derivative at it.
  void adjoint(CellLink link, int level, const Scalar* padded, ChannelRange from, Scalar* cells, ChannelRange to,
               bool accumulate, const Scalar* output, Scalar slope, Scalar cap);

 private:
  struct Pair {
    CellTable forward, backward;
  };
  const Pair& tables(CellLink link, int level);

  Tiling grid_;
  int samples_;
  std::map<std::pair<int, int>, Pair> tables_;
};

/// One sphere whose tiles are dealt to the ranks of a communicator as grid.owner says. Sums have the same order as on
/// one rank, so results carry the same bits on any number of ranks.
template <class Scalar>
class DistributedHalo final : public NetworkHalo<Scalar> {
 public:
  /// Collective. Throws InputError when grid.ranks is not the size of the communicator. A fill that waits longer than
  /// deadline_seconds for its peers throws RunError.
  DistributedHalo(const Tiling& grid, MPI_Comm comm, double deadline_seconds);
  const Tiling& grid() const override { return grid_; }
  int images() const override { return grid_.owned_count(comm_.rank()); }
  /// Collective over the communicator.
  void fill(CellLink link, int level, const Scalar* source, ChannelRange from, Scalar* padded,
            ChannelRange to) override;

 private:
  struct Peer {
    int rank;
    std::vector<int> send;  ///< own cells that the peer needs, by local index, ascending
    int receive_begin, receive_count;
  };
  struct Plan {
    CellTable rows;  ///< own target rows; columns are own cells, then received ones
    int own_cells = 0, received_cells = 0;
    std::vector<Peer> peers;
    std::string waiting_for;  ///< named when a wait runs out of time
  };
  const Plan& plan(CellLink link, int level);

  Tiling grid_;
  OwnedCommunicator comm_;
  double deadline_;
  std::map<std::pair<int, int>, Plan> plans_;
  std::vector<Scalar> sent_, received_;
  std::vector<MPI_Request> requests_;
};

}  // namespace tramontane
