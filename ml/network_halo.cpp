#include "ml/network_halo.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace tramontane {
namespace {

using Space = Kokkos::DefaultHostExecutionSpace;

int source_level(CellLink link, int level) {
  return link == CellLink::pool_halo ? level - 1 : link == CellLink::upsample_halo ? level + 1 : level;
}

Tiling at_level(const Tiling& grid, int level) {
  return grid.at_resolution(grid.n >> level);
}

template <class Scalar>
GatherArguments<Scalar> arguments(const Scalar* source, ChannelRange from, Scalar* target, ChannelRange to) {
  GatherArguments<Scalar> a;
  a.source = source;
  a.source_stride = from.stride;
  a.source_offset = from.offset;
  a.target = target;
  a.target_stride = to.stride;
  a.target_offset = to.offset;
  a.channels = from.count;
  return a;
}

}  // namespace

CellTable link_table(const Tiling& grid, int level, CellLink link) {
  const Tiling here = at_level(grid, level);
  const CellTable halo = halo_table(here);
  if (link == CellLink::pool_halo) return compose(halo, pool_table(at_level(grid, level - 1)));
  if (link == CellLink::upsample_halo) return compose(halo, upsample_table(here));
  return halo;
}

template <class Scalar>
const typename LocalHalo<Scalar>::Pair& LocalHalo<Scalar>::tables(CellLink link, int level) {
  const auto key = std::make_pair(static_cast<int>(link), level);
  auto found = tables_.find(key);
  if (found == tables_.end()) {
    CellTable forward = link_table(grid_, level, link);
    CellTable backward = transposed(forward);
    found = tables_.emplace(key, Pair{std::move(forward), std::move(backward)}).first;
  }
  return found->second;
}

template <class Scalar>
void LocalHalo<Scalar>::fill(CellLink link, int level, const Scalar* source, ChannelRange from, Scalar* padded,
                             ChannelRange to) {
  const CellTable& table = tables(link, level).forward;
  for (int sample = 0; sample < samples_; ++sample) {
    auto a = arguments(source + static_cast<std::size_t>(sample) * table.columns * from.stride, from,
                       padded + static_cast<std::size_t>(sample) * table.rows() * to.stride, to);
    a.local_cells = table.columns;
    gather_rows<Space>(table.view(), a);
  }
}

template <class Scalar>
void LocalHalo<Scalar>::adjoint(CellLink link, int level, const Scalar* padded, ChannelRange from, Scalar* cells,
                                ChannelRange to, bool accumulate, const Scalar* output, Scalar slope, Scalar cap) {
  const CellTable& table = tables(link, level).backward;
  for (int sample = 0; sample < samples_; ++sample) {
    const std::size_t target_offset = static_cast<std::size_t>(sample) * table.rows() * to.stride;
    auto a = arguments(padded + static_cast<std::size_t>(sample) * table.columns * from.stride, from,
                       cells + target_offset, to);
    a.local_cells = table.columns;
    a.accumulate = accumulate;
    a.output = output ? output + target_offset : nullptr;
    a.slope = slope;
    a.cap = cap;
    gather_rows<Space>(table.view(), a);
  }
}

template <class Scalar>
DistributedHalo<Scalar>::DistributedHalo(const Tiling& grid, MPI_Comm comm, double deadline_seconds)
    : grid_(grid), comm_(comm), deadline_(deadline_seconds) {
  if (grid_.ranks != comm_.size())
    throw InputError(fmt::format("the tiling deals its tiles to {} ranks but the network runs on {}: make them equal",
                                 grid_.ranks, comm_.size()));
}

template <class Scalar>
const typename DistributedHalo<Scalar>::Plan& DistributedHalo<Scalar>::plan(CellLink link, int level) {
  const auto key = std::make_pair(static_cast<int>(link), level);
  if (const auto found = plans_.find(key); found != plans_.end()) return found->second;

  const CellTable global = link_table(grid_, level, link);
  const int padded = (at_level(grid_, level).tile_cells() + 2) * (at_level(grid_, level).tile_cells() + 2);
  const int cells = at_level(grid_, source_level(link, level)).cells_per_tile();
  const int me = comm_.rank();
  auto first_cell = [&](int rank) { return grid_.first_tile(rank) * cells; };
  // Cells of `owner` that the rows of `needer` read, ascending: sender and receiver derive the same list.
  auto needed = [&](int needer, int owner) {
    std::vector<int> list;
    const int begin = global.row_begin[grid_.first_tile(needer) * padded];
    const int end = global.row_begin[grid_.first_tile(needer + 1) * padded];
    for (int k = begin; k < end; ++k)
      if (global.source[k] >= first_cell(owner) && global.source[k] < first_cell(owner + 1))
        list.push_back(global.source[k]);
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
    return list;
  };

  Plan plan;
  plan.own_cells = first_cell(me + 1) - first_cell(me);
  std::vector<int> local_of(global.columns, -1);
  for (int cell = first_cell(me); cell < first_cell(me + 1); ++cell) local_of[cell] = cell - first_cell(me);
  for (int rank = 0; rank < comm_.size(); ++rank) {
    if (rank == me) continue;
    Peer peer{rank, needed(rank, me), plan.received_cells, 0};
    for (int& cell : peer.send) cell -= first_cell(me);
    for (int cell : needed(me, rank)) local_of[cell] = plan.own_cells + plan.received_cells++;
    peer.receive_count = plan.received_cells - peer.receive_begin;
    if (!peer.send.empty() || peer.receive_count > 0) plan.peers.push_back(std::move(peer));
  }
  std::vector<int> ranks;
  for (const Peer& peer : plan.peers) ranks.push_back(peer.rank);
  plan.waiting_for =
      fmt::format("the network's halo exchange of rank {} with its peers {}", me, fmt::join(ranks, ", "));
  plan.rows.columns = plan.own_cells + plan.received_cells;
  for (int row = grid_.first_tile(me) * padded; row < grid_.first_tile(me + 1) * padded; ++row) {
    for (int k = global.row_begin[row]; k < global.row_begin[row + 1]; ++k) {
      plan.rows.source.push_back(local_of[global.source[k]]);
      plan.rows.weight.push_back(global.weight[k]);
    }
    plan.rows.row_begin.push_back(static_cast<int>(plan.rows.source.size()));
  }
  return plans_.emplace(key, std::move(plan)).first->second;
}

template <class Scalar>
void DistributedHalo<Scalar>::fill(CellLink link, int level, const Scalar* source, ChannelRange from, Scalar* padded,
                                   ChannelRange to) {
  const Plan& p = plan(link, level);
  const std::size_t cell_bytes = from.count * sizeof(Scalar);
  std::size_t sends = 0;
  for (const Peer& peer : p.peers) sends += peer.send.size();
  sent_.resize(std::max(sent_.size(), sends * from.count));
  received_.resize(std::max(received_.size(), static_cast<std::size_t>(p.received_cells) * from.count));
  requests_.clear();
  // One tag serves: messages between two ranks keep their order, and both sides fill in the same order.
  constexpr int tag = 1;
  for (const Peer& peer : p.peers) {
    if (peer.receive_count == 0) continue;
    MPI_Irecv(received_.data() + static_cast<std::size_t>(peer.receive_begin) * from.count,
              static_cast<int>(peer.receive_count * cell_bytes), MPI_BYTE, peer.rank, tag, comm_.get(),
              &requests_.emplace_back());
  }
  Scalar* out = sent_.data();
  for (const Peer& peer : p.peers) {
    if (peer.send.empty()) continue;
    pack_rows<Space>(peer.send.data(), static_cast<int>(peer.send.size()), source, from.stride, from.offset, from.count,
                     out);
    MPI_Isend(out, static_cast<int>(peer.send.size() * cell_bytes), MPI_BYTE, peer.rank, tag, comm_.get(),
              &requests_.emplace_back());
    out += peer.send.size() * from.count;
  }
  wait_with_deadline(requests_, deadline_, p.waiting_for);
  auto a = arguments(source, from, padded, to);
  a.remote = received_.data();
  a.local_cells = p.own_cells;
  gather_rows<Space>(p.rows.view(), a);
}

template class LocalHalo<float>;
template class LocalHalo<double>;
template class DistributedHalo<float>;
template class DistributedHalo<double>;

}  // namespace tramontane
