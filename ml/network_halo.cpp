#include "ml/network_halo.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace tramontane {
namespace {

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

GatherTable::GatherTable(const CellTable& table, Memory memory)
    : rows_(table.rows()),
      columns_(table.columns),
      row_begin_(copied("rows", table.row_begin, memory)),
      source_(copied("cells", table.source, memory)),
      weight_(copied("weights of cells", table.weight, memory)) {}

template <class Scalar>
std::vector<int> LocalHalo<Scalar>::panels() const {
  std::vector<int> list;
  for (int image = 0; image < images(); ++image) list.push_back(grid_.place(image % grid_.tile_count()).panel);
  return list;
}

template <class Scalar>
const typename LocalHalo<Scalar>::Pair& LocalHalo<Scalar>::tables(CellLink link, int level, int border) {
  const auto key = std::make_tuple(link, level, border);
  auto found = tables_.find(key);
  if (found == tables_.end()) {
    const CellTable table = link_table(grid_, level, link, border);
    found = tables_.emplace(key, Pair{GatherTable(table, memory_), GatherTable(transposed(table), memory_)}).first;
  }
  return found->second;
}

template <class Scalar>
void LocalHalo<Scalar>::fill(CellLink link, int level, const Scalar* source, ChannelRange from, Scalar* padded,
                             ChannelRange to, int border) {
  const GatherTable& table = tables(link, level, border).forward;
  for (int sample = 0; sample < samples_; ++sample) {
    auto a = arguments(source + static_cast<std::size_t>(sample) * table.columns() * from.stride, from,
                       padded + static_cast<std::size_t>(sample) * table.rows() * to.stride, to);
    a.local_cells = table.columns();
    in_space(memory_, [&](auto space) { gather_rows<decltype(space)>(table.view(), a); });
  }
}

template <class Scalar>
void LocalHalo<Scalar>::adjoint(CellLink link, int level, const Scalar* padded, ChannelRange from, Scalar* cells,
                                ChannelRange to, bool accumulate, const Scalar* output, ArithmeticOf<Scalar> slope,
                                ArithmeticOf<Scalar> cap, int border) {
  const GatherTable& table = tables(link, level, border).backward;
  for (int sample = 0; sample < samples_; ++sample) {
    const std::size_t target_offset = static_cast<std::size_t>(sample) * table.rows() * to.stride;
    auto a = arguments(padded + static_cast<std::size_t>(sample) * table.columns() * from.stride, from,
                       cells + target_offset, to);
    a.local_cells = table.columns();
    a.accumulate = accumulate;
    a.output = output ? output + target_offset : nullptr;
    a.slope = slope;
    a.cap = cap;
    in_space(memory_, [&](auto space) { gather_rows<decltype(space)>(table.view(), a); });
  }
}

template <class Scalar>
DistributedHalo<Scalar>::DistributedHalo(const Tiling& grid, MPI_Comm comm, double deadline_seconds, Memory memory)
    : grid_(grid), comm_(comm), deadline_(deadline_seconds), memory_(memory) {
  if (grid_.ranks != comm_.size())
    throw InputError(fmt::format("the tiling deals its tiles to {} ranks but the network runs on {}: make them equal",
                                 grid_.ranks, comm_.size()));
}

template <class Scalar>
std::vector<int> DistributedHalo<Scalar>::panels() const {
  std::vector<int> list;
  for (int image = 0; image < images(); ++image)
    list.push_back(grid_.place(grid_.first_tile(comm_.rank()) + image).panel);
  return list;
}

template <class Scalar>
const typename DistributedHalo<Scalar>::Plan& DistributedHalo<Scalar>::plan(CellLink link, int level, int border) {
  const auto key = std::make_tuple(link, level, border);
  if (const auto found = plans_.find(key); found != plans_.end()) return found->second;

  const CellTable global = link_table(grid_, level, link, border);
  const int edge = at_level(grid_, level).tile_cells() + 2 * border, padded = edge * edge;
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
  std::vector<int> sends, local_of(global.columns, -1);
  for (int cell = first_cell(me); cell < first_cell(me + 1); ++cell) local_of[cell] = cell - first_cell(me);
  for (int rank = 0; rank < comm_.size(); ++rank) {
    if (rank == me) continue;
    Peer peer{rank, static_cast<int>(sends.size()), 0, plan.received_cells, 0};
    for (int cell : needed(rank, me)) sends.push_back(cell - first_cell(me));
    for (int cell : needed(me, rank)) local_of[cell] = plan.own_cells + plan.received_cells++;
    peer.send_count = static_cast<int>(sends.size()) - peer.send_begin;
    peer.receive_count = plan.received_cells - peer.receive_begin;
    if (peer.send_count > 0 || peer.receive_count > 0) plan.peers.push_back(peer);
  }
  plan.sent_cells = static_cast<int>(sends.size());
  plan.sends = copied("sent cells", sends, memory_);
  std::vector<int> ranks;
  for (const Peer& peer : plan.peers) ranks.push_back(peer.rank);
  plan.waiting_for =
      fmt::format("the network's halo exchange of rank {} with its peers {}", me, fmt::join(ranks, ", "));
  CellTable rows;
  rows.columns = plan.own_cells + plan.received_cells;
  for (int row = grid_.first_tile(me) * padded; row < grid_.first_tile(me + 1) * padded; ++row) {
    for (int k = global.row_begin[row]; k < global.row_begin[row + 1]; ++k) {
      rows.source.push_back(local_of[global.source[k]]);
      rows.weight.push_back(global.weight[k]);
    }
    rows.row_begin.push_back(static_cast<int>(rows.source.size()));
  }
  plan.rows = GatherTable(rows, memory_);
  return plans_.emplace(key, std::move(plan)).first->second;
}

template <class Scalar>
void DistributedHalo<Scalar>::reserve(std::size_t sent, std::size_t received) {
  if (sent_.size() < sent) sent_ = MemoryBuffer<Scalar>("sent cells", sent, memory_);
  if (received_.size() < received) received_ = MemoryBuffer<Scalar>("received cells", received, memory_);
  if (memory_ == Memory::host) return;
  host_sent_.resize(std::max(host_sent_.size(), sent));
  host_received_.resize(std::max(host_received_.size(), received));
}

template <class Scalar>
void DistributedHalo<Scalar>::fill(CellLink link, int level, const Scalar* source, ChannelRange from, Scalar* padded,
                                   ChannelRange to, int border) {
  const Plan& p = plan(link, level, border);
  const std::size_t channels = from.count, cell_bytes = channels * sizeof(Scalar);
  const std::size_t sent = p.sent_cells * channels, received = p.received_cells * channels;
  const bool staged = memory_ != Memory::host;
  reserve(sent, received);
  if (sent > 0)
    in_space(memory_, [&](auto space) {
      pack_rows<decltype(space)>(p.sends.data(), p.sent_cells, source, from.stride, from.offset, from.count,
                                 sent_.data());
    });
  if (staged) sent_.copy_to_host(host_sent_.data(), sent);
  const Scalar* out = staged ? host_sent_.data() : sent_.data();
  Scalar* in = staged ? host_received_.data() : received_.data();
  requests_.clear();
  // One tag serves: messages between two ranks keep their order, and both sides fill in the same order.
  constexpr int tag = 1;
  for (const Peer& peer : p.peers)
    if (peer.receive_count > 0)
      MPI_Irecv(in + peer.receive_begin * channels, static_cast<int>(peer.receive_count * cell_bytes), MPI_BYTE,
                peer.rank, tag, comm_.get(), &requests_.emplace_back());
  for (const Peer& peer : p.peers)
    if (peer.send_count > 0)
      MPI_Isend(out + peer.send_begin * channels, static_cast<int>(peer.send_count * cell_bytes), MPI_BYTE, peer.rank,
                tag, comm_.get(), &requests_.emplace_back());
  wait_with_deadline(requests_, deadline_, p.waiting_for, comm_.get());
  if (staged) received_.copy_from_host(host_received_.data(), received);
  auto a = arguments(source, from, padded, to);
  a.remote = received_.data();
  a.local_cells = p.own_cells;
  in_space(memory_, [&](auto space) { gather_rows<decltype(space)>(p.rows.view(), a); });
}

template class LocalHalo<float>;
template class LocalHalo<double>;
template class LocalHalo<Bfloat16>;
template class DistributedHalo<float>;
template class DistributedHalo<double>;
template class DistributedHalo<Bfloat16>;

}  // namespace tramontane
