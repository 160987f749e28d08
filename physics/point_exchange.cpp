#include "physics/point_exchange.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <type_traits>

#include "kernels/device_copy.hpp"
#include "kernels/errors.hpp"
#include "kernels/wait_scope.hpp"

namespace tramontane {

namespace {

constexpr int kSetupTag = 7101;
constexpr int kValueTag = 7102;

const MPI_Datatype kRealType = std::is_same_v<Real, double> ? MPI_DOUBLE : MPI_FLOAT;

View<int*> to_device(const std::string& name, const std::vector<int>& values) {
  View<int*> view(name, values.size());
  auto host = Kokkos::create_mirror_view(view);
  std::copy(values.begin(), values.end(), host.data());
  Kokkos::deep_copy(view, host);
  return view;
}

}  // namespace

PointExchange::PointExchange(MPI_Comm comm, const std::vector<std::int64_t>& needed,
                             const std::function<int(std::int64_t)>& owner,
                             const std::function<int(std::int64_t)>& slot, int components, double deadline_seconds,
                             const std::vector<int>& write_targets)
    : comm_(comm), components_(components), deadline_(deadline_seconds), device_messages_(mpi_reads_kernel_memory()) {
  int ranks = 1;
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &ranks);

  // Ask every owner for what this rank needs of it.
  std::map<int, std::vector<std::int64_t>> wanted;
  std::map<int, std::vector<int>> targets;
  std::vector<std::pair<int, int>> local;
  for (std::size_t k = 0; k < needed.size(); ++k) {
    const int peer = owner(needed[k]), target = write_targets.empty() ? static_cast<int>(k) : write_targets[k];
    if (peer == rank_) {
      local.emplace_back(slot(needed[k]), target);
    } else {
      wanted[peer].push_back(needed[k]);
      targets[peer].push_back(target);
    }
  }
  std::vector<int> wanted_count(ranks, 0), asked_count(ranks, 0);
  for (const auto& [peer, numbers] : wanted) wanted_count[peer] = static_cast<int>(numbers.size());
  MPI_Alltoall(wanted_count.data(), 1, MPI_INT, asked_count.data(), 1, MPI_INT, comm_);
  std::vector<std::vector<std::int64_t>> asked(ranks);
  std::vector<MPI_Request> setup;
  for (int peer = 0; peer < ranks; ++peer) {
    if (asked_count[peer] > 0) {
      asked[peer].resize(asked_count[peer]);
      MPI_Irecv(asked[peer].data(), asked_count[peer], MPI_INT64_T, peer, kSetupTag, comm_, &setup.emplace_back());
    }
    if (wanted_count[peer] > 0)
      MPI_Isend(wanted[peer].data(), wanted_count[peer], MPI_INT64_T, peer, kSetupTag, comm_, &setup.emplace_back());
  }
  MPI_Waitall(static_cast<int>(setup.size()), setup.data(), MPI_STATUSES_IGNORE);

  std::vector<int> send_slots, receive_targets;
  for (int peer = 0; peer < ranks; ++peer) {
    if (asked[peer].empty() && wanted_count[peer] == 0) continue;
    peers_.push_back({peer, static_cast<int>(send_slots.size()), asked_count[peer],
                      static_cast<int>(receive_targets.size()), wanted_count[peer]});
    for (std::int64_t number : asked[peer]) send_slots.push_back(slot(number));
    if (wanted_count[peer] > 0)
      receive_targets.insert(receive_targets.end(), targets[peer].begin(), targets[peer].end());
  }
  send_slots_ = to_device("exchange: slots", send_slots);
  receive_targets_ = to_device("exchange: targets", receive_targets);
  outgoing_ = View<Real**>("exchange: outgoing", send_slots.size(), components_);
  incoming_ = View<Real**>("exchange: incoming", receive_targets.size(), components_);
  if (!device_messages_) {
    outgoing_host_ = MessageView("exchange: outgoing, host", send_slots.size(), components_);
    incoming_host_ = MessageView("exchange: incoming, host", receive_targets.size(), components_);
  }
  local_ = View<int* [2]>("exchange: own share", local.size());
  auto local_host = Kokkos::create_mirror_view(local_);
  for (std::size_t k = 0; k < local.size(); ++k) {
    local_host(k, 0) = local[k].first;
    local_host(k, 1) = local[k].second;
  }
  Kokkos::deep_copy(local_, local_host);
}

void PointExchange::send() {
  // MPI reads what the device has written, and writes over what earlier kernels and copies have read.
  const ExecutionSpace space;
  if (!device_messages_) Kokkos::deep_copy(space, outgoing_host_, outgoing_);
  space.fence();
  Real* out = device_messages_ ? outgoing_.data() : outgoing_host_.data();
  Real* in = device_messages_ ? incoming_.data() : incoming_host_.data();
  const std::size_t width = components_;
  requests_.clear();
  for (const Peer& p : peers_)
    if (p.receive_count > 0)
      MPI_Irecv(in + p.receive_begin * width, p.receive_count * components_, kRealType, p.rank, kValueTag, comm_,
                &requests_.emplace_back());
  for (const Peer& p : peers_)
    if (p.send_count > 0)
      MPI_Isend(out + p.send_begin * width, p.send_count * components_, kRealType, p.rank, kValueTag, comm_,
                &requests_.emplace_back());
}

void PointExchange::receive() {
  const double began = MPI_Wtime();
  const WaitScope wait("halo values", comm_, peers_.size() == 1 ? peers_.front().rank : WaitScope::kAll, deadline_);
  int done = 0;
  while (!done) {
    MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE);
    if (!done && MPI_Wtime() - began > deadline_) {
      std::string who;
      for (const Peer& p : peers_) who += fmt::format(" {}", p.rank);
      throw RunError(fmt::format("solver rank {} waited {:.0f} s for halo values of ranks{}", rank_, deadline_, who));
    }
  }
  if (!device_messages_) Kokkos::deep_copy(ExecutionSpace(), incoming_, incoming_host_);
}

}  // namespace tramontane
