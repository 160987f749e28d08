#include "src/preflight/preflight.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "kernels/device_copy.hpp"
#include "kernels/errors.hpp"
#include "kernels/tiling.hpp"
#include "kernels/wait_scope.hpp"
#include "ml/visible_gpus.hpp"
#include "src/deck/checks.hpp"

namespace tramontane {
namespace {

constexpr double kTalkSeconds = 10;
constexpr int kTableRanks = 8;       // up to so many a table has a line or a column for each
constexpr double kClockSeconds = 1;  // a difference that makes logs of several ranks misleading
/// The estimate is right to a factor of two or three: from this share of the memory on it may not be enough.
constexpr double kTightShare = 0.5;
constexpr double kSlowShare = 3;    // times the mean
constexpr double kSlowDisk = 20e6;  // bytes s-1, all ranks together

void row(const std::string& name, const std::string& value) {
  fmt::print("  {:<22}{}\n", name, value);
}

std::string rate_text(double bytes, double seconds) {
  return seconds > 0 ? bytes_text(bytes / seconds) + "/s" : std::string("-");
}
std::string seconds_text(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.1f} us", 1e6 * seconds);
  return seconds < 1 ? fmt::format("{:.1f} ms", 1e3 * seconds) : fmt::format("{:.2f} s", seconds);
}

std::string pair_text(const PairFigures& pair, const std::vector<Seat>& seats) {
  const auto name = [&](int rank) {
    return fmt::format("{} ({})", rank, seats[static_cast<std::size_t>(rank)].node_name);
  };
  return fmt::format("ranks {} and {}: {}, {}/s", name(pair.a), name(pair.b), seconds_text(pair.latency),
                     bytes_text(pair.bandwidth));
}

bool on_one_node(const PairFigures& pair, const std::vector<Seat>& seats) {
  return seats[static_cast<std::size_t>(pair.a)].node == seats[static_cast<std::size_t>(pair.b)].node;
}

/// The middle value.
double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// ---- Gathering -----------------------------------------------------------------------------------------------------

/// What a rank sends of its findings.
struct Card {
  double memory, needed;
  int by_group, on_node, usable, threads;
  int frame_path;  ///< of a solver rank with frames or samples; else -1
  char processors[96], components[128], gpu[128], frames[256];
};

/// @param frames null: this rank has none
Card make_card(const Seat& seat, double needed, const FramePathFacts* frames) {
  Card card = {};
  const auto put = [](auto& field, const std::string& text) {
    std::copy_n(text.begin(), std::min(text.size(), sizeof field - 1), field);
  };
  const MemoryThere memory = memory_there();
  const ProcessorsThere processors = processors_there();
  card.memory = memory.bytes;
  card.by_group = memory.limit == "memory of the node" ? 0 : 1;
  card.needed = needed;
  card.on_node = processors.on_node;
  card.usable = processors.usable;
  card.threads = processors.threads;
  put(card.processors, processors.list);
  std::ostringstream maps;
  maps << std::ifstream("/proc/self/maps").rdbuf();
  put(card.components, transport_components(maps.str()));
  put(card.gpu, gpu_model(seat.gpu));
  card.frame_path = frames ? static_cast<int>(choose_frame_path(*frames)) : -1;
  if (frames) put(card.frames, frame_path_text(*frames));
  return card;
}

std::vector<FrameFindings> frames_of(const std::vector<Card>& cards) {
  std::vector<FrameFindings> found;
  for (std::size_t rank = 0; rank < cards.size(); ++rank)
    if (cards[rank].frame_path >= 0)
      found.push_back({static_cast<int>(rank), static_cast<FramePath>(cards[rank].frame_path), cards[rank].frames});
  return found;
}

RankFindings findings_of(const Card& card) {
  return {{card.memory, card.by_group ? "limit of the batch system or container (cgroup)" : "memory of the node"},
          {card.on_node, card.usable, card.processors, card.threads},
          card.needed};
}

// ---- Printing ------------------------------------------------------------------------------------------------------

void print_ranks(const CommandContext& context, const std::vector<Card>& cards) {
  const Tiling tiling(context.deck.grid.n, context.deck.grid.tiles_per_edge, std::max(1, context.ranks.solvers));
  const auto line = [](const auto&... columns) {
    fmt::print("  {:<7}{:<9}{:<6}{:<18}{:<7}{:<14}{:<9}{:<7}{:<12}{:<30}{}\n", columns...);
  };
  fmt::print("ranks: {}\n", seats_text(context.seats));
  line("rank", "role", "MPI", "node", "local", "processors", "threads", "tiles", "needs", "GPU", "shared with");
  for (std::size_t rank = 0; rank < cards.size(); ++rank) {
    // Of a long list the first ranks of each role stand for the others.
    const bool learner = context.ranks.is_learner(static_cast<int>(rank));
    const int in_role = context.ranks.index_in_role(static_cast<int>(rank));
    const int role_size = learner ? context.ranks.learners : context.ranks.solvers;
    if (in_role == kTableRanks && role_size > kTableRanks + 1) fmt::print("  ...\n");
    if (in_role >= kTableRanks && role_size > kTableRanks + 1 && in_role + 1 < role_size) continue;
    const Seat& seat = context.seats[rank];
    const Card& card = cards[rank];
    line(rank, learner ? "learner" : "solver", seat.world_rank, seat.node_name, seat.local_rank, card.processors,
         card.threads, learner ? 0 : tiling.owned_count(static_cast<int>(rank)), bytes_text(card.needed),
         seat.gpu < 0 ? std::string("none") : fmt::format("{} {} {}", seat.gpu, seat.gpu_name, card.gpu),
         seat.gpu >= 0 && seat.gpu_users > 1 ? fmt::format("{} ranks in all", seat.gpu_users) : std::string("-"));
  }
}

/// Latency above the diagonal, bandwidth below it.
void print_pair_table(const TalkReport& talk, int ranks) {
  std::map<std::pair<int, int>, const PairFigures*> by_pair;
  for (const PairFigures& pair : talk.pairs) by_pair[{pair.a, pair.b}] = &pair;
  fmt::print("  {:<22}", "rank");
  for (int b = 0; b < ranks; ++b) fmt::print("{:>12}", b);
  fmt::print("\n");
  for (int a = 0; a < ranks; ++a) {
    fmt::print("  {:<22}", a);
    for (int b = 0; b < ranks; ++b) {
      if (a == b) {
        fmt::print("{:>12}", "-");
        continue;
      }
      const PairFigures& pair = *by_pair.at({std::min(a, b), std::max(a, b)});
      fmt::print("{:>12}", a < b ? seconds_text(pair.latency) : bytes_text(pair.bandwidth) + "/s");
    }
    fmt::print("\n");
  }
}

void print_messages(const TalkReport& talk, const std::vector<Card>& cards, const CommandContext& context) {
  const auto ranks = static_cast<int>(cards.size());
  fmt::print("messages ({}, {})\n",
             talk.has_all_pairs ? "every pair" : "each rank with those 1, 2, 4, 8 ... further on",
             talk.is_undisturbed ? "one after the other" : "many at once");
  if (ranks <= kTableRanks) {
    row("above, below diagonal", "latency (8 bytes), bandwidth (4 MiB, there and back)");
    print_pair_table(talk, ranks);
  } else {
    const auto extremes = [&](const char* name, const auto& value) {
      const auto [least, most] = std::minmax_element(talk.pairs.begin(), talk.pairs.end(),
                                                     [&](auto& x, auto& y) { return value(x) < value(y); });
      row(fmt::format("least {}", name), pair_text(*least, context.seats));
      row(fmt::format("most {}", name), pair_text(*most, context.seats));
    };
    extremes("latency", [](const PairFigures& p) { return p.latency; });
    extremes("bandwidth", [](const PairFigures& p) { return p.bandwidth; });
  }
  const std::string components = cards.front().components;
  row("transport, found", components.empty() ? "Open MPI's components can not be told from the process" : components);
  const auto has = [&](const char* name) { return components.find(name) != std::string::npos; };
  std::string inside = "not known", between = "not known";
  if (has("pml ucx"))
    inside = between = "UCX, which chooses by itself (UCX_TLS, ucx_info -d)";
  else if (has("pml cm"))
    inside = between = "the mtl above";
  else if (has("pml ob1")) {
    inside = has("vader") || has(" sm") ? "shared memory (vader)" : "as between nodes";
    between = has("uct") ? "uct" : has("openib") ? "openib" : has("usnic") ? "usnic" : "TCP";
  }
  const bool several =
      std::any_of(context.seats.begin(), context.seats.end(), [](const Seat& s) { return s.node > 0; });
  row("within a node", inside + (components.empty() ? "" : " (concluded from the components)"));
  row("between nodes", several ? between + (components.empty() ? "" : " (concluded from the components)")
                               : "not used: all ranks are on one node");
}

void print_frames(const std::vector<FrameFindings>& frames) {
  if (frames.empty()) return;
  row("frames", frames.front().text);
  if (!kHostReadsKernelMemory) row("GPU memory", mpi_and_gpu_memory());
}

void print_clocks(const std::vector<ClockOffset>& clocks) {
  const auto furthest = std::max_element(clocks.begin(), clocks.end(),
                                         [](auto& x, auto& y) { return std::abs(x.offset) < std::abs(y.offset); });
  row("clocks", fmt::format("rank {} is furthest from rank 0: {:+.3f} ms, known to {:.3f} ms",
                            furthest - clocks.begin(), 1e3 * furthest->offset, 1e3 * furthest->uncertainty));
}

void print_memory(const std::vector<RankFindings>& ranks, const std::vector<Seat>& seats) {
  struct Node {
    double needed = 0, there = 1e300;
    int ranks = 0;
    std::string name, limit;
  };
  std::map<int, Node> nodes;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    Node& node = nodes[seats[rank].node];
    node.name = seats[rank].node_name;
    node.needed += ranks[rank].needed_bytes;
    ++node.ranks;
    if (ranks[rank].memory.bytes < node.there) {
      node.there = ranks[rank].memory.bytes;
      node.limit = ranks[rank].memory.limit;
    }
  }
  // The fullest nodes say it for the others.
  std::vector<Node> list;
  for (const auto& [number, node] : nodes) list.push_back(node);
  std::stable_sort(list.begin(), list.end(), [](auto& x, auto& y) { return x.needed / x.there > y.needed / y.there; });
  fmt::print("memory\n");
  for (std::size_t k = 0; k < std::min<std::size_t>(list.size(), kTableRanks); ++k)
    row(list[k].name, fmt::format("{} rank(s) need {} of {} ({})", list[k].ranks, bytes_text(list[k].needed),
                                  bytes_text(list[k].there), list[k].limit));
  if (list.size() > kTableRanks) fmt::print("  ... {} nodes that are less full\n", list.size() - kTableRanks);
}

void print_storage(const StorageReport& storage, const std::string& key) {
  row(key, storage.folder.string());
  if (!storage.good()) return;
  row("", fmt::format("{} from all ranks at once: written and synced {}, read {}; {} free", bytes_text(storage.bytes),
                      rate_text(storage.bytes, storage.write_seconds), rate_text(storage.bytes, storage.read_seconds),
                      bytes_text(storage.free_bytes)));
}

}  // namespace

std::vector<Finding> judge_messages(const TalkReport& talk, const std::vector<Seat>& seats) {
  std::vector<Finding> found;
  for (const bool inside : {true, false}) {
    std::vector<double> bandwidths;
    const PairFigures* slowest = nullptr;
    for (const PairFigures& pair : talk.pairs) {
      if (on_one_node(pair, seats) != inside) continue;
      bandwidths.push_back(pair.bandwidth);
      if (!slowest || pair.bandwidth < slowest->bandwidth) slowest = &pair;
    }
    // One lame link holds up every step; where ranks share a core, pairs differ by themselves.
    if (bandwidths.size() >= 4 && slowest->bandwidth < 0.1 * median(bandwidths))
      found.push_back({false, fmt::format("{}, a tenth of what others reach: look at that link or node",
                                          pair_text(*slowest, seats))});
  }
  return found;
}

std::vector<Finding> judge_clocks(const std::vector<ClockOffset>& clocks) {
  for (std::size_t rank = 0; rank < clocks.size(); ++rank)
    if (std::abs(clocks[rank].offset) - clocks[rank].uncertainty > kClockSeconds)
      return {
          {false,
           fmt::format("the clock of rank {} is {:+.1f} s from rank 0's: times in logs of different nodes can not be "
                       "compared; have its NTP looked at",
                       rank, clocks[rank].offset)}};
  return {};
}

std::vector<Finding> judge_memory(const std::vector<RankFindings>& ranks, const std::vector<Seat>& seats) {
  std::map<int, std::pair<double, double>> nodes;  // needed, there
  std::map<int, std::string> limits, names;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const int node = seats[rank].node;
    auto& [needed, there] = nodes.emplace(node, std::pair(0.0, 1e300)).first->second;
    needed += ranks[rank].needed_bytes;
    names[node] = seats[rank].node_name;
    if (ranks[rank].memory.bytes < there) {
      there = ranks[rank].memory.bytes;
      limits[node] = ranks[rank].memory.limit;
    }
  }
  // The worst of each kind stands for the others.
  std::vector<Finding> found;
  for (const bool wrong : {true, false}) {
    const std::pair<const int, std::pair<double, double>>* worst = nullptr;
    for (const auto& node : nodes) {
      const double share = node.second.first / node.second.second;
      if ((wrong ? share > 1 : share > kTightShare && share <= 1) &&
          (!worst || share > worst->second.first / worst->second.second))
        worst = &node;
    }
    if (!worst) continue;
    found.push_back(
        {wrong, fmt::format("the ranks on {} need about {} of memory and {} {} there ({}): put fewer of them on a "
                            "node, or lower {}",
                            names[worst->first], bytes_text(worst->second.first), wrong ? "only" : "no more than",
                            bytes_text(worst->second.second) + " are", limits[worst->first],
                            "grid.n, learner.reservoir or learner.batch")});
  }
  return found;
}

std::vector<Finding> judge_frames(const std::vector<FrameFindings>& ranks, const std::vector<Seat>& seats) {
  const auto slow = std::ranges::count(ranks, FramePath::pageable, &FrameFindings::path);
  if (slow == 0) return {};
  const auto first = std::ranges::find(ranks, FramePath::pageable, &FrameFindings::path);
  return {{false, fmt::format("on {} of {} solver rank(s), the first of them rank {} on {}, {}: have the driver and the limit "
                              "on locked memory (ulimit -l) looked at",
                              slow, ranks.size(), first->rank, seats[static_cast<std::size_t>(first->rank)].node_name,
                              first->text)}};
}

std::vector<Finding> judge_processors(const std::vector<RankFindings>& ranks, const std::vector<Seat>& seats) {
  struct Node {
    std::string name;
    int ranks = 0, threads = 0, on_node = 1;
    std::map<std::string, std::pair<int, int>> users;  // by list of processors: ranks, processors
  };
  std::map<int, Node> nodes;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    Node& node = nodes[seats[rank].node];
    const ProcessorsThere& there = ranks[rank].processors;
    node.name = seats[rank].node_name;
    ++node.ranks;
    node.threads += there.threads;
    node.on_node = there.on_node;
    auto& [users, processors] = node.users[there.list];
    ++users;
    processors = there.usable;
  }
  std::vector<Finding> found;
  for (const auto& [number, node] : nodes) {
    std::string crowded;
    for (const auto& [list, use] : node.users)
      if (use.first > use.second) crowded = fmt::format("{} ranks share processor(s) {}", use.first, list);
    if (node.ranks > node.on_node)
      found.push_back(
          {false, fmt::format("{} runs {} ranks on {} processors: each gets a part of one, and waits cost more "
                              "than work; start fewer",
                              node.name, node.ranks, node.on_node)});
    else if (!crowded.empty())
      found.push_back({false, fmt::format("on {} {}: have mpirun or srun bind each to its own (--bind-to core, "
                                          "--cpu-bind=cores)",
                                          node.name, crowded)});
    else if (node.threads > node.on_node)
      found.push_back(
          {false, fmt::format("{} has {} processors for {} threads of the network library: set OMP_NUM_THREADS",
                              node.name, node.on_node, node.threads)});
    if (!found.empty()) return found;  // one node says it for the others
  }
  return found;
}

std::vector<Finding> judge_storage(const StorageReport& storage, const std::string& key, double needed_bytes,
                                   const std::vector<Seat>& seats) {
  std::vector<int> bad;
  for (std::size_t rank = 0; rank < storage.obstacles.size(); ++rank)
    if (!storage.obstacles[rank].empty()) bad.push_back(static_cast<int>(rank));
  if (!bad.empty()) {
    const auto first = static_cast<std::size_t>(bad.front());
    return {
        {true, fmt::format(
                   "{}: {} rank(s) can not use {}, the first of them rank {} on {}, which {}: choose a folder that "
                   "all nodes can write to",
                   key, bad.size(), storage.folder.string(), first, seats[first].node_name, storage.obstacles[first])}};
  }
  std::vector<Finding> found;
  if (needed_bytes > storage.free_bytes)
    found.push_back(
        {true, fmt::format("{}: the job writes about {} and {} has {} free: make room or choose another folder", key,
                           bytes_text(needed_bytes), storage.folder.string(), bytes_text(storage.free_bytes))});
  if (storage.bytes / storage.write_seconds < kSlowDisk)
    found.push_back(
        {false, fmt::format("{}: {} of all ranks together reach only {}: is it the file system meant for jobs?", key,
                            storage.folder.string(), rate_text(storage.bytes, storage.write_seconds))});
  if (storage.slowest_share > kSlowShare) {
    const auto slowest = static_cast<std::size_t>(storage.slowest);
    found.push_back({false, fmt::format("{}: rank {} on {} takes {:.1f} times the mean to write: look at that node",
                                        key, storage.slowest, seats[slowest].node_name, storage.slowest_share)});
  }
  return found;
}

int preflight(const CommandContext& context, const Estimate& estimate) {
  sign_of_life("preflight");
  const double began = MPI_Wtime();
  const MPI_Comm world = context.world;
  std::vector<std::string> nodes;
  for (const Seat& seat : context.seats) nodes.push_back(seat.node_name);
  const TalkReport talk = try_messages(world, nodes, kTalkSeconds);
  const std::vector<ClockOffset> clocks = clock_offsets(world, kTalkSeconds);
  const bool learner = context.ranks.is_learner(context.rank);
  std::optional<FramePathFacts> frames;
  if (is_coupled(context.deck, context.line.planned) && !learner)
    frames = try_frame_path(!has_two_jobs(context.deck, context.line.planned), context.deck.stream.archive.has_value());
  const Card card = make_card(context.seats[static_cast<std::size_t>(context.rank)],
                              learner ? estimate.learner_bytes : estimate.solver_bytes, frames ? &*frames : nullptr);
  std::vector<Card> cards(static_cast<std::size_t>(context.size));
  MPI_Gather(&card, sizeof card, MPI_BYTE, cards.data(), sizeof card, MPI_BYTE, 0, world);
  std::vector<std::pair<std::string, std::filesystem::path>> folders = {{"output.dir", context.deck.output.dir}};
  if (is_coupled(context.deck, context.line.planned) && context.deck.stream.archive)
    folders.emplace_back("stream.archive", std::filesystem::absolute(*context.deck.stream.archive).parent_path());
  if (has_two_jobs(context.deck, context.line.planned))
    folders.emplace_back("exchange.dir", *context.deck.exchange.dir);
  std::vector<std::pair<std::string, StorageReport>> storage;  // by the first key that names the folder
  for (const auto& [key, folder] : folders) {
    const std::filesystem::path there = existing_folder(folder);
    const bool is_known = std::ranges::any_of(storage, [&](const auto& one) { return one.second.folder == there; });
    if (!is_known) storage.emplace_back(key, try_storage(there, world));
  }

  int code = kExitDone;
  if (context.is_root()) {
    std::vector<RankFindings> ranks;
    for (const Card& one : cards) ranks.push_back(findings_of(one));
    std::vector<Finding> all = judge_messages(talk, context.seats);
    const auto add = [&](const std::vector<Finding>& some) { all.insert(all.end(), some.begin(), some.end()); };
    add(judge_frames(frames_of(cards), context.seats));
    add(judge_clocks(clocks));
    add(judge_memory(ranks, context.seats));
    add(judge_processors(ranks, context.seats));
    for (const auto& [key, report] : storage)
      add(judge_storage(report, key, key == "output.dir" ? estimate.output_bytes : 0, context.seats));
    print_ranks(context, cards);
    print_messages(talk, cards, context);
    print_frames(frames_of(cards));
    print_clocks(clocks);
    print_memory(ranks, context.seats);
    fmt::print("file systems\n");
    for (const auto& [key, report] : storage) print_storage(report, key);
    int wrong = 0;
    for (const bool is_wrong : {false, true})
      for (const Finding& one : all)
        if (one.wrong == is_wrong) {
          wrong += is_wrong ? 1 : 0;
          fmt::print("{}: {}\n", is_wrong ? "wrong" : "warning", one.text);
        }
    const std::string after = fmt::format("after {:.1f} s", MPI_Wtime() - began);
    if (wrong == 0)
      fmt::print("verdict: ready, {} rank(s) on {} node(s), {} warning(s), {}\n", context.size,
                 std::set<std::string>(nodes.begin(), nodes.end()).size(), all.size(), after);
    else
      fmt::print("verdict: not ready, {} thing(s) wrong (see above), {}\n", wrong, after);
    std::fflush(stdout);
    code = wrong == 0 ? kExitDone : kExitBadInput;
  }
  return code;
}

}  // namespace tramontane
