#include "src/deck/placement.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "kernels/errors.hpp"

namespace tramontane {

int Machine::gpu_count() const {
  std::set<std::pair<int, std::string>> seen;
  for (const Place& place : ranks)
    for (const std::string& gpu : place.gpus) seen.emplace(place.node, gpu);
  return static_cast<int>(seen.size());
}

Machine Machine::alike(int ranks, int ranks_per_node, int gpus_per_node) {
  Machine machine;
  std::vector<std::string> gpus;
  for (int gpu = 0; gpu < gpus_per_node; ++gpu) gpus.push_back(std::to_string(gpu));
  for (int rank = 0; rank < ranks; ++rank) machine.ranks.push_back({rank / ranks_per_node, rank % ranks_per_node, gpus});
  for (int node = 0; node * ranks_per_node < ranks; ++node) machine.nodes.push_back(fmt::format("node{}", node));
  return machine;
}

namespace {

/// Takes ranks for the learners, node by node.
class Picker {
 public:
  Picker(const Machine& machine, int wanted) : wanted_(static_cast<std::size_t>(wanted)), free_(machine.nodes.size()) {
    for (int rank = 1; rank < machine.size(); ++rank)  // rank 0 integrates
      free_[static_cast<std::size_t>(machine.ranks[rank].node)].push_back(rank);
  }

  bool done() const { return taken_.size() >= wanted_; }

  /// The last free rank of a node, if it has one and one is wanted.
  bool take(std::size_t node) {
    if (done() || free_[node].empty()) return false;
    taken_.insert(free_[node].back());
    free_[node].pop_back();
    return true;
  }

  void packed() {
    for (std::size_t node = free_.size(); node-- > 0;)
      while (take(node)) {
      }
  }

  /// At most `most[node]` on each node.
  void spread(std::vector<int> most) {
    for (bool taken = true; taken;) {
      taken = false;
      for (std::size_t node = free_.size(); node-- > 0;)
        if (most[node] > 0 && take(node)) {
          --most[node];
          taken = true;
        }
    }
  }

  const std::set<int>& taken() const { return taken_; }

 private:
  std::size_t wanted_;
  std::vector<std::vector<int>> free_;  // by node, ascending
  std::set<int> taken_;
};

std::vector<int> gpus_by_node(const Machine& machine) {
  std::vector<std::set<std::string>> seen(machine.nodes.size());
  for (const Machine::Place& place : machine.ranks)
    seen[static_cast<std::size_t>(place.node)].insert(place.gpus.begin(), place.gpus.end());
  std::vector<int> counts;
  for (const auto& gpus : seen) counts.push_back(static_cast<int>(gpus.size()));
  return counts;
}

std::set<int> listed_learners(const Deck& deck, const Machine& machine) {
  const std::string key = deck.where("ranks.learner_ranks") + "ranks.learner_ranks";
  std::set<int> learners;
  for (const int rank : deck.ranks.learner_ranks) {
    if (rank < 0 || rank >= machine.size())
      throw InputError(fmt::format("{} names rank {}, and this job has ranks 0 to {}", key, rank, machine.size() - 1));
    if (!learners.insert(rank).second) throw InputError(fmt::format("{} names rank {} twice: keep one", key, rank));
  }
  return learners;
}

std::set<int> choose_learners(const Deck& deck, const RankLayout& layout, const Machine& machine,
                              const std::vector<Role>& given) {
  std::set<int> learners;
  if (layout.learners == 0) return learners;
  for (std::size_t rank = 0; rank < given.size(); ++rank)
    if (given[rank] == Role::learner) learners.insert(static_cast<int>(rank));
  if (!learners.empty()) return learners;
  if (layout.solvers == 0) {
    for (int rank = 0; rank < machine.size(); ++rank) learners.insert(rank);
    return learners;
  }
  if (!deck.ranks.learner_ranks.empty()) return listed_learners(deck, machine);
  Picker picker(machine, layout.learners);
  if (deck.ranks.placement == RankPlacement::packed) picker.packed();
  if (deck.ranks.placement == RankPlacement::automatic && machine.gpu_count() > 0) picker.spread(gpus_by_node(machine));
  picker.spread(std::vector<int>(machine.nodes.size(), machine.size()));  // what is still wanted
  return picker.taken();
}

/// Who uses a GPU, while they are dealt.
struct Use {
  int learners = 0, all = 0;
};
using Uses = std::map<std::pair<int, std::string>, Use>;

void deal_gpu(Seat& seat, const std::vector<std::string>& gpus, Uses& uses) {
  // A learner keeps its GPU busy all the time: nobody else goes there while another one is free.
  const auto burden = [&](std::size_t k) {
    const Use& use = uses[{seat.node, gpus[k]}];
    return std::pair(use.learners, use.all);
  };
  for (std::size_t k = 0; k < gpus.size(); ++k)
    if (seat.gpu < 0 || burden(k) < burden(static_cast<std::size_t>(seat.gpu))) seat.gpu = static_cast<int>(k);
  if (seat.gpu < 0) return;
  seat.gpu_name = gpus[static_cast<std::size_t>(seat.gpu)];
  Use& use = uses[{seat.node, seat.gpu_name}];
  use.learners += seat.learner ? 1 : 0;
  ++use.all;
}

}  // namespace

std::vector<Seat> place_ranks(const Deck& deck, const RankLayout& layout, const Machine& machine,
                              const std::vector<Role>& given) {
  const std::set<int> learners = choose_learners(deck, layout, machine, given);
  std::vector<Seat> seats;
  for (const bool learner : {false, true})
    for (int rank = 0; rank < machine.size(); ++rank) {
      if ((learners.count(rank) > 0) != learner) continue;
      const Machine::Place& place = machine.ranks[rank];
      seats.push_back({rank, learner, place.node, machine.nodes[static_cast<std::size_t>(place.node)], place.local_rank,
                       -1, "", 0});
    }
  Uses uses;
  for (const bool learner : {true, false})
    for (Seat& seat : seats)
      if (seat.learner == learner) deal_gpu(seat, machine.ranks[seat.world_rank].gpus, uses);
  for (Seat& seat : seats)
    if (seat.gpu >= 0) seat.gpu_users = uses[{seat.node, seat.gpu_name}].all;
  return seats;
}

std::string seats_text(const std::vector<Seat>& seats) {
  std::map<int, std::pair<int, int>> by_node;
  std::map<int, std::string> names;
  int solvers = 0, learners = 0;
  for (const Seat& seat : seats) {
    ++(seat.learner ? by_node[seat.node].second : by_node[seat.node].first);
    ++(seat.learner ? learners : solvers);
    names[seat.node] = seat.node_name;
  }
  std::vector<std::string> nodes;
  constexpr std::size_t kShown = 16;
  for (const auto& [node, counts] : by_node) {
    if (nodes.size() == kShown) {
      nodes.emplace_back("...");
      break;
    }
    nodes.push_back(fmt::format("{} {} + {}", names[node], counts.first, counts.second));
  }
  return fmt::format("{} rank(s) integrate, {} train: {}", solvers, learners, fmt::join(nodes, ", "));
}

}  // namespace tramontane
