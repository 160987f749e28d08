#include "src/checkpoint/run_snapshot.hpp"

#include <fmt/format.h>

#include <sstream>

#include "kernels/errors.hpp"

namespace tramontane {

namespace {

using nlohmann::ordered_json;

std::map<std::string, std::string> lines_by_key(const std::string& text) {
  std::map<std::string, std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    const std::size_t mid = line.find(" = ");
    if (mid != std::string::npos) lines[line.substr(0, mid)] = line.substr(mid + 3);
  }
  return lines;
}

}  // namespace

ordered_json to_json(const Ledger& l) {
  return {{"produced", l.produced},   {"delivered", l.delivered}, {"dropped", l.dropped},
          {"in_flight", l.in_flight}, {"rejected", l.rejected},   {"bytes", l.bytes},
          {"lost", l.lost}};
}

Ledger ledger_from(const ordered_json& in) {
  Ledger l;
  in.at("produced").get_to(l.produced);
  in.at("delivered").get_to(l.delivered);
  in.at("dropped").get_to(l.dropped);
  in.at("in_flight").get_to(l.in_flight);
  in.at("rejected").get_to(l.rejected);
  in.at("bytes").get_to(l.bytes);
  in.at("lost").get_to(l.lost);
  return l;
}

std::string learner_part(int learner) {
  return fmt::format("learner-{}", learner);
}
std::string learner_samples(int learner) {
  return fmt::format("samples-{}", learner);
}

std::string to_text(const RunSnapshot& s) {
  ordered_json out = {{"number", s.number},
                      {"version", s.version},
                      {"run_id", s.run_id},
                      {"settings", s.settings},
                      {"solvers", s.solvers},
                      {"learners", s.learners},
                      {"next_sample", s.place.number},
                      {"lesson", s.place.lesson},
                      {"sample_of_lesson", s.place.sample},
                      {"lessons_done", s.lessons_done},
                      {"training_step", s.training_step},
                      {"ledger", to_json(s.ledger)},
                      {"archived", s.archived},
                      {"stall_seconds", s.stall_seconds},
                      {"metrics", s.metrics},
                      {"restarts", ordered_json::array()},
                      {"parts", ordered_json::object()}};
  if (s.exchange)
    out["exchange"] = {{"run", s.exchange->run},
                       {"samples", s.exchange->samples},
                       {"learners", s.exchange->learners},
                       {"refused", s.exchange->refused},
                       {"learner", s.exchange->learner}};
  for (const RunRestart& r : s.restarts)
    out["restarts"].push_back({{"snapshot", r.snapshot}, {"sample", r.sample}, {"step", r.step}});
  for (const auto& [name, mark] : s.parts) out["parts"][name] = {{"bytes", mark.bytes}, {"checksum", mark.checksum}};
  return out.dump(1);
}

RunSnapshot snapshot_from(const std::string& text) {
  const ordered_json in = ordered_json::parse(text);
  RunSnapshot s;
  in.at("number").get_to(s.number);
  in.at("version").get_to(s.version);
  in.at("run_id").get_to(s.run_id);
  in.at("settings").get_to(s.settings);
  in.at("solvers").get_to(s.solvers);
  in.at("learners").get_to(s.learners);
  in.at("next_sample").get_to(s.place.number);
  in.at("lesson").get_to(s.place.lesson);
  in.at("sample_of_lesson").get_to(s.place.sample);
  in.at("lessons_done").get_to(s.lessons_done);
  in.at("training_step").get_to(s.training_step);
  s.ledger = ledger_from(in.at("ledger"));
  in.at("archived").get_to(s.archived);
  in.at("stall_seconds").get_to(s.stall_seconds);
  in.at("metrics").get_to(s.metrics);
  for (const auto& r : in.at("restarts"))
    s.restarts.push_back({r.at("snapshot").get<std::int64_t>(), r.at("sample").get<std::int64_t>(),
                          r.at("step").get<std::int64_t>()});
  if (const auto found = in.find("exchange"); found != in.end()) {
    s.exchange.emplace();
    found->at("run").get_to(s.exchange->run);
    found->at("samples").get_to(s.exchange->samples);
    found->at("learners").get_to(s.exchange->learners);
    found->at("refused").get_to(s.exchange->refused);
    found->at("learner").get_to(s.exchange->learner);
  }
  for (const auto& [name, mark] : in.at("parts").items())
    s.parts[name] = {mark.at("bytes").get<std::uint64_t>(), mark.at("checksum").get<std::uint64_t>()};
  return s;
}

void check_fits(const RunSnapshot& snapshot, const std::string& settings, int learners, const std::string& path) {
  const auto theirs = lines_by_key(snapshot.settings), own = lines_by_key(settings);
  for (const auto& [key, value] : own) {
    const auto found = theirs.find(key);
    if (found == theirs.end())
      throw InputError(fmt::format(
          "{} was taken by a program that did not know {}: continue it with tramontane {}, or start anew with "
          "checkpoint.resume = none",
          path, key, snapshot.version));
    if (found->second != value)
      throw InputError(fmt::format("{} is of a run with {} = {}, and this run has {}: set {} back, or start anew with "
                                   "checkpoint.resume = none",
                                   path, key, found->second, value, key));
  }
  if ((snapshot.learners == 0) != (learners == 0))
    throw InputError(fmt::format("{} is of a run whose learner {}, and this one's {}: set exchange.dir {}, or start anew "
                                 "with checkpoint.resume = none",
                                 path, snapshot.learners == 0 ? "is a job of its own" : "has ranks of the same job",
                                 learners == 0 ? "is a job of its own" : "has ranks of the same job",
                                 snapshot.learners == 0 ? "to the folder where they meet" : "to none"));
  if (snapshot.learners != learners)
    throw InputError(fmt::format("{} is of a run on {} learner rank(s), and this run has {}: set ranks.learner = {}, "
                                 "because samples are dealt out by learner ranks",
                                 path, snapshot.learners, learners, snapshot.learners));
}

}  // namespace tramontane
