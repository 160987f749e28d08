#include "physics/point_exchange.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "kernels/errors.hpp"

namespace tramontane {

namespace {
constexpr int kSetupTag = 7101;
constexpr int kValueTag = 7102;

void pool_from_arrivals(const View<double**>& pool, const View<double**>& arrived, const View<int*>& position) {
  const int points = static_cast<int>(position.extent(0)), components = static_cast<int>(pool.extent(0));
  Kokkos::parallel_for(
      "halo pool from arrivals", Kokkos::RangePolicy<ExecutionSpace>(0, points), KOKKOS_LAMBDA(int k) {
        for (int c = 0; c < components; ++c) pool(c, position(k)) = arrived(c, k);
      });
}
}  // namespace

PointExchange::PointExchange(MPI_Comm comm, std::vector<std::int64_t> needed,
                             const std::function<int(std::int64_t)>& owner,
                             const std::function<int(std::int64_t)>& slot, int components, double deadline_seconds)
    : comm_(comm), components_(components), deadline_(deadline_seconds), needed_(std::move(needed)) {
  int ranks = 1;
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &ranks);

  // Ask every owner for what this rank needs of it.
  std::map<int, std::vector<std::int64_t>> wanted;
  for (std::int64_t number : needed_) wanted[owner(number)].push_back(number);
  std::vector<int> wanted_count(ranks, 0), asked_count(ranks, 0);
  for (const auto& [peer, numbers] : wanted) wanted_count[peer] = static_cast<int>(numbers.size());
  MPI_Alltoall(wanted_count.data(), 1, MPI_INT, asked_count.data(), 1, MPI_INT, comm_);
  std::map<int, std::vector<std::int64_t>> asked;
  std::vector<MPI_Request> setup;
  for (int peer = 0; peer < ranks; ++peer) {
    if (peer == rank_) {
      if (wanted.count(peer)) asked[peer] = wanted[peer];
      continue;
    }
    if (asked_count[peer] > 0) {
      asked[peer].resize(asked_count[peer]);
      MPI_Irecv(asked[peer].data(), asked_count[peer], MPI_INT64_T, peer, kSetupTag, comm_, &setup.emplace_back());
    }
    if (wanted_count[peer] > 0)
      MPI_Isend(wanted[peer].data(), wanted_count[peer], MPI_INT64_T, peer, kSetupTag, comm_, &setup.emplace_back());
  }
  MPI_Waitall(static_cast<int>(setup.size()), setup.data(), MPI_STATUSES_IGNORE);

  std::vector<int> slots, position;
  for (int peer = 0; peer < ranks; ++peer) {
    const auto sends = asked.find(peer);
    const auto receives = wanted.find(peer);
    if (sends == asked.end() && receives == wanted.end()) continue;
    Peer p{peer, static_cast<int>(slots.size()), 0, static_cast<int>(position.size()), 0};
    if (sends != asked.end())
      for (std::int64_t number : sends->second) slots.push_back(slot(number));
    if (receives != wanted.end())
      for (std::int64_t number : receives->second) position.push_back(pool_index(number));
    p.send_count = static_cast<int>(slots.size()) - p.send_begin;
    p.receive_count = static_cast<int>(position.size()) - p.receive_begin;
    peers_.push_back(p);
  }

  auto to_device = [](const std::string& name, const std::vector<int>& values) {
    View<int*> view(name, values.size());
    auto host = Kokkos::create_mirror_view(view);
    std::copy(values.begin(), values.end(), host.data());
    Kokkos::deep_copy(view, host);
    return view;
  };
  slots_ = to_device("halo slots", slots);
  arrival_to_pool_ = to_device("halo arrival positions", position);
  packed_ = View<double**>("halo packed", components_, slots.size());
  arrived_ = View<double**>("halo arrived", components_, position.size());
  pool_ = View<double**>("halo pool", components_, needed_.size());
  packed_host_ = Kokkos::create_mirror_view(packed_);
  arrived_host_ = Kokkos::create_mirror_view(arrived_);
  send_buffer_.resize(slots.size() * components_);
  receive_buffer_.resize(position.size() * components_);
}

int PointExchange::pool_index(std::int64_t number) const {
  return static_cast<int>(std::lower_bound(needed_.begin(), needed_.end(), number) - needed_.begin());
}

void PointExchange::start() {
  Kokkos::fence();
  Kokkos::deep_copy(packed_host_, packed_);
  requests_.clear();
  for (const Peer& p : peers_) {
    if (p.rank == rank_) continue;
    if (p.receive_count > 0)
      MPI_Irecv(receive_buffer_.data() + static_cast<std::size_t>(p.receive_begin) * components_,
                p.receive_count * components_, MPI_DOUBLE, p.rank, kValueTag, comm_, &requests_.emplace_back());
  }
  for (const Peer& p : peers_) {
    if (p.rank == rank_) continue;
    double* buffer = send_buffer_.data() + static_cast<std::size_t>(p.send_begin) * components_;
    for (int c = 0; c < components_; ++c)
      std::copy_n(&packed_host_(c, p.send_begin), p.send_count, buffer + static_cast<std::size_t>(c) * p.send_count);
    if (p.send_count > 0)
      MPI_Isend(buffer, p.send_count * components_, MPI_DOUBLE, p.rank, kValueTag, comm_, &requests_.emplace_back());
  }
}

void PointExchange::finish() {
  const double began = MPI_Wtime();
  int done = requests_.empty() ? 1 : 0;
  while (!done) {
    MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE);
    if (!done && MPI_Wtime() - began > deadline_) {
      std::string who;
      for (const Peer& p : peers_)
        if (p.rank != rank_) who += fmt::format(" {}", p.rank);
      throw RunError(fmt::format("solver rank {} waited {:.0f} s for halo values of ranks{}", rank_, deadline_, who));
    }
  }
  for (const Peer& p : peers_) {
    for (int c = 0; c < components_; ++c) {
      if (p.receive_count == 0) continue;
      double* to = &arrived_host_(c, p.receive_begin);
      if (p.rank == rank_)
        std::copy_n(&packed_host_(c, p.send_begin), p.send_count, to);
      else
        std::copy_n(receive_buffer_.data() + static_cast<std::size_t>(p.receive_begin) * components_ +
                        static_cast<std::size_t>(c) * p.receive_count,
                    p.receive_count, to);
    }
  }
  Kokkos::deep_copy(arrived_, arrived_host_);
  pool_from_arrivals(pool_, arrived_, arrival_to_pool_);
}

}  // namespace tramontane
