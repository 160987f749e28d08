#include "src/program/watchdog_picture.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "kernels/wait_scope.hpp"
#include "src/program/process_state.hpp"

namespace tramontane {
namespace {

/// s: what code that ends its waits itself gets for that, before the watchdog steps in.
constexpr double kGrace = 10;
/// Lists up to this length have a line for every rank.
constexpr std::size_t kShownRanks = 24;

std::string seconds_text(double seconds) {
  return seconds < 10 ? fmt::format("{:.1f} s", seconds) : fmt::format("{:.0f} s", seconds);
}

/// What a rank does, without the times if they are not wanted.
std::string place_text(const RankPlace& place, bool with_times) {
  if (!place.answers) return place.found.empty() ? "does not answer" : fmt::format("does not answer: {}", place.found);
  const auto since = [&](double age) { return with_times ? fmt::format(" {}", seconds_text(age)) : std::string(); };
  std::string text;
  for (const RankPlace::Wait& wait : place.waits) {
    text += fmt::format("{}{}{}", text.empty() ? "waits" : ", in it", since(wait.age), " for " + wait.what);
    if (!wait.ranks.empty())
      text += fmt::format(" ({} {})", wait.ranks.size() > 1 ? "ranks" : "rank", rank_list(wait.ranks));
  }
  if (place.waits.empty())
    text = fmt::format("computes{}{}", with_times ? " since" : "", since(place.quiet)) +
           (place.thread_state.empty() ? "" : " (" + place.thread_state + ")");
  if (!place.did.empty())
    text += with_times
                ? fmt::format("; last sign: {} {}, {} ago", place.did, place.did_number, seconds_text(place.did_age))
                : fmt::format("; last sign: {}", place.did);
  return text;
}

}  // namespace

double RankPlace::limit(double deadline) const {
  double own = 0;
  for (const Wait& wait : waits) own = std::max(own, wait.own_limit);
  return own > 0 ? own + kGrace : deadline;
}

std::vector<int> RankPlace::waits_for(int own_rank, int ranks) const {
  for (auto wait = waits.rbegin(); wait != waits.rend(); ++wait)
    if (!wait->ranks.empty()) return wait->ranks;
  std::vector<int> others;
  for (int rank = 0; rank < ranks && !waits.empty(); ++rank)
    if (rank != own_rank) others.push_back(rank);
  return others;
}

RankPlace own_place() {
  const WaitPicture picture = wait_picture();
  const auto now = std::chrono::steady_clock::now();
  const auto age = [&](WaitPicture::Time time) { return std::chrono::duration<double>(now - time).count(); };
  RankPlace place;
  place.answers = true;
  for (const WaitPicture::Wait& wait : picture.waits)
    place.waits.push_back({wait.what, wait.ranks, age(wait.since), wait.own_limit});
  place.did = picture.did;
  place.did_number = picture.did_number;
  place.finished = picture.finished;
  place.did_age = picture.did.empty() ? 0 : age(picture.did_at);
  place.quiet = age(picture.moved_at);
  place.thread_state = state_text(thread_state(getpid()));
  return place;
}

nlohmann::json to_json(const RankPlace& place) {
  nlohmann::json waits = nlohmann::json::array();
  // JSON has no infinity.
  for (const RankPlace::Wait& wait : place.waits)
    waits.push_back({wait.what, wait.ranks, wait.age, std::min(wait.own_limit, 1e300)});
  return {{"waits", waits},
          {"did", place.did},
          {"did_number", place.did_number},
          {"finished", place.finished},
          {"did_age", place.did_age},
          {"quiet", place.quiet},
          {"thread", place.thread_state}};
}

RankPlace place_from_json(const nlohmann::json& text) {
  RankPlace place;
  place.answers = true;
  for (const nlohmann::json& wait : text.at("waits"))
    place.waits.push_back({wait.at(0), wait.at(1).get<std::vector<int>>(), wait.at(2), wait.at(3)});
  place.did = text.at("did");
  place.did_number = text.at("did_number");
  place.finished = text.at("finished");
  place.did_age = text.at("did_age");
  place.quiet = text.at("quiet");
  place.thread_state = text.at("thread");
  return place;
}

HangVerdict judge(const std::vector<RankPlace>& places, double deadline, const std::set<int>& contained) {
  const int ranks = static_cast<int>(places.size());
  const auto counts = [&](int rank) { return rank >= 0 && rank < ranks && contained.count(rank) == 0; };
  // All that overdue ranks wait for, directly or through others.
  std::set<int> overdue, reached;
  std::vector<int> next;
  std::map<int, int> blamed;  // by how many ranks it is waited for that are not in the same wait
  const auto waits_for_a_silent_one = [&](int rank) {
    const std::vector<int> others = places[static_cast<std::size_t>(rank)].waits_for(rank, ranks);
    return std::any_of(others.begin(), others.end(), [&](int other) {
      return counts(other) && !places[static_cast<std::size_t>(other)].answers;
    });
  };
  // A contained rank may be the only one left to notice that one of the others is gone.
  for (int rank = 0; rank < ranks; ++rank)
    if (places[static_cast<std::size_t>(rank)].is_overdue(deadline) && (counts(rank) || waits_for_a_silent_one(rank)))
      overdue.insert(rank);
  if (overdue.empty()) return {};
  next.assign(overdue.begin(), overdue.end());
  std::set<int> followed(next.begin(), next.end());
  while (!next.empty()) {
    const int rank = next.back();
    next.pop_back();
    const RankPlace& place = places[static_cast<std::size_t>(rank)];
    for (const int other : place.waits_for(rank, ranks)) {
      if (!counts(other)) continue;
      reached.insert(other);
      const RankPlace& there = places[static_cast<std::size_t>(other)];
      const bool in_same_wait =
          there.answers && !there.waits.empty() && there.waits.back().what == place.waits.back().what;
      if (!in_same_wait) ++blamed[other];
      if (there.answers && followed.insert(other).second) next.push_back(other);
    }
  }
  HangVerdict verdict;
  std::vector<int> silent, busy, moving;
  for (const int rank : reached) {
    const RankPlace& place = places[static_cast<std::size_t>(rank)];
    if (!place.answers)
      (place.heard_age > deadline ? silent : moving).push_back(rank);  // a node may be busy with itself for a while
    else if (place.waits.empty() && place.quiet > deadline)
      busy.push_back(rank);
    else if (place.quiet <= place.limit(deadline))
      moving.push_back(rank);
  }
  const auto name = [](const std::vector<int>& list) {
    return fmt::format("{} {}", list.size() > 1 ? "ranks" : "rank", rank_list(list));
  };
  if (!silent.empty()) {
    verdict = {true, silent, fmt::format("{} {} not answer", name(silent), silent.size() > 1 ? "do" : "does")};
  } else if (!busy.empty()) {
    verdict = {true, busy,
               fmt::format("{} {} not come: no sign of life within {}", name(busy), busy.size() > 1 ? "do" : "does",
                           seconds_text(deadline))};
  } else if (!moving.empty()) {
    const RankPlace& place = places[static_cast<std::size_t>(moving.front())];
    verdict.why = fmt::format("rank {} gets on{}", moving.front(),
                              place.did.empty() ? "" : fmt::format(" ({} {})", place.did, place.did_number));
  } else {
    verdict = {true, {}, "all ranks wait for each other, or for something outside the job"};
    int most = 0;
    for (const auto& [rank, count] : blamed) most = std::max(most, count);
    for (const auto& [rank, count] : blamed)
      if (count == most) verdict.culprits.push_back(rank);
    if (!verdict.culprits.empty())
      verdict.why = fmt::format("the ranks wait for each other; most of them for {}, which {} elsewhere",
                                name(verdict.culprits), verdict.culprits.size() > 1 ? "wait" : "waits");
  }
  return verdict;
}

std::string picture_text(const std::vector<RankPlace>& places, const std::vector<RankFacts>& facts) {
  std::string text;
  const auto line = [&](const std::string& ranks, const RankFacts& f, const std::string& rest) {
    text += fmt::format("  rank {:<5}{:<8} {} process {}: {}\n", ranks, f.role, f.host, f.process, rest);
  };
  if (places.size() <= kShownRanks) {
    for (std::size_t rank = 0; rank < places.size(); ++rank)
      line(std::to_string(rank), facts[rank], place_text(places[rank], true));
    return text;
  }
  // Thousands of lines hide the one that matters: ranks that are alike share one, the rare ones come first.
  std::map<std::string, std::vector<int>> alike;
  for (std::size_t rank = 0; rank < places.size(); ++rank) {
    RankPlace place = places[rank];
    for (RankPlace::Wait& wait : place.waits)  // each leaves itself out
      if (wait.ranks.size() > 1) wait.ranks.clear();
    alike[facts[rank].role + " " + place_text(place, false)].push_back(static_cast<int>(rank));
  }
  std::vector<std::pair<std::string, std::vector<int>>> groups(alike.begin(), alike.end());
  std::stable_sort(groups.begin(), groups.end(), [](auto& a, auto& b) { return a.second.size() < b.second.size(); });
  for (const auto& [what, ranks] : groups) {
    const auto first = static_cast<std::size_t>(ranks.front());
    if (ranks.size() == 1)
      line(std::to_string(ranks.front()), facts[first], place_text(places[first], true));
    else
      text += fmt::format("  {} ranks ({}): {}; rank {}: {}\n", ranks.size(), rank_list(ranks), what, ranks.front(),
                          place_text(places[first], true));
  }
  return text;
}

std::string rank_list(const std::vector<int>& ranks) {
  constexpr std::size_t kShown = 12;  // runs of neighbours
  std::string text;
  std::size_t shown = 0;
  for (std::size_t begin = 0; begin < ranks.size();) {
    std::size_t end = begin + 1;
    while (end < ranks.size() && ranks[end] == ranks[end - 1] + 1) ++end;
    if (shown++ == kShown) return text + ", ...";
    if (!text.empty()) text += ", ";
    text += std::to_string(ranks[begin]);
    if (end - begin > 1) text += fmt::format("{}{}", end - begin == 2 ? ", " : "-", ranks[end - 1]);
    begin = end;
  }
  return text;
}

}  // namespace tramontane
