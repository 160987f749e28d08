#include "src/preflight/talk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "kernels/errors.hpp"
#include "kernels/wait_scope.hpp"
#include "ml/mpi_deadline.hpp"

namespace tramontane {
namespace {

constexpr int kTag = 71;
constexpr int kAllPairsUpTo = 32, kUndisturbedUpTo = 8;  // ranks
constexpr int kPings = 20, kLongMessages = 3;
constexpr std::size_t kLongBytes = 4 << 20;

/// Rounds of pairs; in a round no rank is in two.
using Rounds = std::vector<std::vector<std::pair<int, int>>>;

/// Every pair once: one rank stays in its place and the others turn around it.
Rounds all_pairs(int ranks) {
  const int places = ranks + ranks % 2;  // an odd number gets a partner that is nobody
  Rounds rounds;
  for (int turn = 0; turn + 1 < places; ++turn) {
    auto& round = rounds.emplace_back();
    for (int k = 0; k < places / 2; ++k) {
      const auto at = [&](int place) { return place == 0 ? 0 : 1 + (place - 1 + turn) % (places - 1); };
      const int a = at(k), b = at(places - 1 - k);
      if (std::max(a, b) < ranks) round.emplace_back(std::min(a, b), std::max(a, b));
    }
  }
  return rounds;
}

/// Ranks 1, 2, 4, 8 ... apart. Two rounds for each distance: pairs that begin in even blocks of it, and in odd ones.
Rounds some_pairs(int ranks) {
  Rounds rounds;
  for (int distance = 1; distance < ranks; distance *= 2)
    for (int odd = 0; odd < 2; ++odd) {
      auto& round = rounds.emplace_back();
      for (int a = 0; a + distance < ranks; ++a)
        if (a / distance % 2 == odd) round.emplace_back(a, a + distance);
    }
  return rounds;
}

/// Messages of one rank to another, with a deadline.
class Talk {
 public:
  Talk(MPI_Comm comm, std::vector<std::string> nodes, double deadline)
      : comm_(comm), nodes_(std::move(nodes)), deadline_(deadline) {
    // No duplicate of the communicator: making one waits for all ranks without this deadline.
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
  }

  void send(int to, const void* data, std::size_t bytes) {
    MPI_Isend(data, static_cast<int>(bytes), MPI_BYTE, to, kTag, comm_, &requests_.emplace_back());
    finish(to, bytes);
  }
  void receive(int from, void* data, std::size_t bytes) {
    MPI_Irecv(data, static_cast<int>(bytes), MPI_BYTE, from, kTag, comm_, &requests_.emplace_back());
    finish(from, bytes);
  }
  int rank() const { return rank_; }
  int size() const { return size_; }

 private:
  void finish(int peer, std::size_t bytes) {
    const WaitScope wait("a message of the preflight", comm_, peer, deadline_);
    try {
      wait_with_deadline(requests_, deadline_, "a message");
    } catch (const RunError&) {
      const auto name = [&](int rank) {
        return fmt::format("rank {} on {}", rank, nodes_.empty() ? "?" : nodes_[static_cast<std::size_t>(rank)]);
      };
      throw InputError(
          fmt::format("{} and {} can not exchange {} bytes within {:g} s: see that both processes run, and that "
                      "the network and MPI's transport between these nodes work",
                      name(rank_), name(peer), bytes, deadline_));
    }
    requests_.clear();
  }

  MPI_Comm comm_;
  int rank_ = 0, size_ = 1;
  std::vector<std::string> nodes_;
  double deadline_;
  std::vector<MPI_Request> requests_;
};

/// A pair's messages; figures on its first rank.
PairFigures measure(Talk& talk, int a, int b, std::vector<char>& buffer) {
  const bool first = talk.rank() == a;
  const int peer = first ? b : a;
  const auto round_trip = [&](std::size_t bytes, std::size_t back) {
    const double began = MPI_Wtime();
    if (first) {
      talk.send(peer, buffer.data(), bytes);
      talk.receive(peer, buffer.data(), back);
    } else {
      talk.receive(peer, buffer.data(), bytes);
      talk.send(peer, buffer.data(), back);
    }
    return MPI_Wtime() - began;
  };
  std::vector<double> pings;
  for (int k = 0; k < kPings; ++k) pings.push_back(round_trip(8, 8));
  std::nth_element(pings.begin(), pings.begin() + kPings / 2, pings.end());
  double quickest = round_trip(kLongBytes, kLongBytes);
  for (int k = 1; k < kLongMessages; ++k) quickest = std::min(quickest, round_trip(kLongBytes, kLongBytes));
  return {a, b, pings[kPings / 2] / 2, 2 * static_cast<double>(kLongBytes) / quickest};
}

double wall_clock() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

TalkReport try_messages(MPI_Comm comm, const std::vector<std::string>& nodes, double deadline) {
  Talk talk(comm, nodes, deadline);
  TalkReport report;
  report.has_all_pairs = talk.size() <= kAllPairsUpTo;
  report.is_undisturbed = talk.size() <= kUndisturbedUpTo;
  std::vector<char> buffer(kLongBytes, 'x');
  std::vector<PairFigures> mine;
  // All walk the same list; where pairs go one by one, a token from rank to rank would be one more thing to fail: ranks
  // meet at barriers, whose wait is the watchdog's.
  for (const auto& round : report.has_all_pairs ? all_pairs(talk.size()) : some_pairs(talk.size()))
    for (const auto& [a, b] : round) {
      if (talk.rank() == a || talk.rank() == b) {
        const PairFigures figures = measure(talk, a, b, buffer);
        if (talk.rank() == a) mine.push_back(figures);
      }
      if (report.is_undisturbed) {
        const WaitScope wait("the messages of another pair", comm);
        MPI_Barrier(comm);
      }
    }
  int bytes = static_cast<int>(mine.size() * sizeof(PairFigures));
  std::vector<int> counts(static_cast<std::size_t>(talk.size())), starts(counts.size());
  MPI_Gather(&bytes, 1, MPI_INT, counts.data(), 1, MPI_INT, 0, comm);
  for (std::size_t k = 1; k < counts.size(); ++k) starts[k] = starts[k - 1] + counts[k - 1];
  if (talk.rank() == 0)
    report.pairs.resize(static_cast<std::size_t>(starts.back() + counts.back()) / sizeof(PairFigures));
  MPI_Gatherv(mine.data(), bytes, MPI_BYTE, report.pairs.data(), counts.data(), starts.data(), MPI_BYTE, 0, comm);
  std::sort(report.pairs.begin(), report.pairs.end(),
            [](const PairFigures& x, const PairFigures& y) { return std::pair(x.a, x.b) < std::pair(y.a, y.b); });
  return report;
}

std::vector<ClockOffset> clock_offsets(MPI_Comm comm, double deadline) {
  Talk talk(comm, {}, deadline);
  std::vector<ClockOffset> offsets(1);
  double there = 0;
  if (talk.rank() != 0) {
    for (int k = 0; k < kPings; ++k) {
      talk.receive(0, &there, sizeof there);
      there = wall_clock();
      talk.send(0, &there, sizeof there);
    }
    return {};
  }
  for (int peer = 1; peer < talk.size(); ++peer) {
    ClockOffset best{0, 1e9};
    for (int k = 0; k < kPings; ++k) {
      const double began = wall_clock();
      talk.send(peer, &there, sizeof there);
      talk.receive(peer, &there, sizeof there);
      const double ended = wall_clock(), half = (ended - began) / 2;
      if (half < best.uncertainty) best = {there - (began + half), half};
    }
    offsets.push_back(best);
  }
  return offsets;
}

}  // namespace tramontane
