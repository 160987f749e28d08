#include "src/deck/layout.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/errors.hpp"
#include "kernels/panel_topology.hpp"

namespace tramontane {

const char* name_of(Command command) {
  switch (command) {
    case Command::run:
      return "run";
    case Command::train:
      return "train";
    case Command::forecast:
      return "forecast";
    case Command::scale:
      return "scale";
    case Command::check:
      return "check";
    default:
      return "info";
  }
}

bool is_coupled(const Deck& deck, Command command) {
  return command == Command::run && deck.surrogate.kind != SurrogateKind::none;
}

bool has_two_jobs(const Deck& deck, Command command) {
  return deck.exchange.dir && (is_coupled(deck, command) || command == Command::train);
}

int tracer_count(const Deck& deck) {
  return deck.initial.kind == InitialCase::williamson1 ? 1 : 0;
}

int least_ranks(const Deck& deck, Command command) {
  const int learners = std::max(1, deck.ranks.learner.value_or(1)), solvers = deck.ranks.solver.value_or(1);
  if (command == Command::train) return learners;
  return is_coupled(deck, command) && !has_two_jobs(deck, command) ? solvers + learners : solvers;
}

namespace {

int tiles_of(const Deck& deck) {
  return kPanels * deck.grid.tiles_per_edge * deck.grid.tiles_per_edge;
}

/// All ranks have one role, and a key of the deck may say how many there are.
void require_whole(const Deck& deck, const std::string& key, const std::optional<int>& asked, int size) {
  if (asked && *asked != size)
    throw InputError(fmt::format("{}{} = {} does not match the {} rank(s) of this job: start it with mpirun -n {}",
                                 deck.where(key), key, *asked, size, *asked));
}

RankLayout solvers_alone(const Deck& deck, int size) {
  require_whole(deck, "ranks.solver", deck.ranks.solver, size);
  if (size > tiles_of(deck))
    throw InputError(
        fmt::format("{}{} ranks for {} tiles: raise grid.tiles_per_edge (6 tiles_per_edge^2 tiles) or start fewer ranks",
                    deck.where("grid.tiles_per_edge"), size, tiles_of(deck)));
  return {size, 0};
}

/// The number that the deck or --role gives a role, where it does.
std::optional<int> count_of(const Deck& deck, const char* key, const std::optional<int>& asked,
                            const std::optional<int>& given) {
  if (asked && given && *asked != *given)
    throw InputError(fmt::format("{}{} = {}, but the job was started with {} rank(s) of that --role: make them agree",
                                 deck.where(key), key, *asked, *given));
  return given ? given : asked;
}

RankLayout both_roles(const Deck& deck, int size, const JobFacts& facts) {
  if (size < 2)
    throw InputError(fmt::format(
        "{}surrogate.kind = {} needs at least 2 ranks, one to integrate and one to train: start with mpirun -n 2, or "
        "set surrogate.kind to none",
        deck.where("surrogate.kind"), name_of(deck.surrogate.kind)));
  const auto given = [&](int RankLayout::* role) {
    return facts.given ? std::optional<int>(*facts.given.*role) : std::nullopt;
  };
  const auto solvers = count_of(deck, "ranks.solver", deck.ranks.solver, given(&RankLayout::solvers));
  auto learners = count_of(deck, "ranks.learner", deck.ranks.learner, given(&RankLayout::learners));
  const std::vector<int>& listed = deck.ranks.learner_ranks;
  if (!listed.empty()) {
    if (facts.given)
      throw InputError(deck.where("ranks.learner_ranks") +
                       "ranks.learner_ranks goes with one program for all ranks: with --role the programs' places say who "
                       "trains, so leave it empty");
    if (learners && *learners != static_cast<int>(listed.size()))
      throw InputError(fmt::format("{}ranks.learner_ranks names {} rank(s) and ranks.learner = {}: make them agree",
                                   deck.where("ranks.learner_ranks"), listed.size(), *learners));
    learners = static_cast<int>(listed.size());
  }
  RankLayout layout;
  if (solvers && learners) {
    layout = {*solvers, *learners};
  } else if (solvers) {
    layout = {*solvers, size - *solvers};
  } else if (learners) {
    layout = {size - *learners, *learners};
  } else {
    int quarter = std::max(1, size / 4);
    if (facts.gpus > 0) quarter = std::min(quarter, facts.gpus);
    layout.solvers = std::min(size - quarter, tiles_of(deck));
    layout.learners = size - layout.solvers;
  }
  const std::string place = deck.where(deck.ranks.solver ? "ranks.solver" : "ranks.learner");
  if (layout.solvers < 1 || layout.learners < 1 || layout.total() != size)
    throw InputError(
        fmt::format("{}ranks.solver = {} and ranks.learner = {} do not fit the {} ranks of this job: each must be at "
                    "least 1 and their sum the number of ranks{}",
                    place, solvers ? std::to_string(*solvers) : "auto", learners ? std::to_string(*learners) : "auto",
                    size, learners == 0 ? "; for a learner in a job of its own set exchange.dir" : ""));
  if (layout.solvers > tiles_of(deck))
    throw InputError(fmt::format("{}{} solver ranks for {} tiles: raise grid.tiles_per_edge or lower ranks.solver",
                                 place, layout.solvers, tiles_of(deck)));
  return layout;
}

}  // namespace

RankLayout rank_layout(const Deck& deck, Command command, int size, const JobFacts& facts) {
  const bool two_jobs = has_two_jobs(deck, command);
  if (facts.given && (!is_coupled(deck, command) || two_jobs))
    throw InputError(fmt::format("--role goes with a coupled run whose roles are in one job, not with tramontane {}{}: "
                                 "leave it out",
                                 name_of(command), two_jobs ? " and exchange.dir" : ""));
  if (command == Command::train) {
    // With two jobs one deck serves both, and ranks.learner = 0 is the run's word that its learner is elsewhere.
    if (!two_jobs || deck.ranks.learner != 0) require_whole(deck, "ranks.learner", deck.ranks.learner, size);
    return {0, size};
  }
  if (two_jobs) {
    if (deck.ranks.learner.value_or(0) > 0 || !deck.ranks.learner_ranks.empty())
      throw InputError(
          fmt::format("{}ranks.learner = {} in a run with exchange.dir, whose learner is a job of its own (tramontane "
                      "train): set ranks.learner to 0, or exchange.dir to none",
                      deck.where("ranks.learner"), deck.ranks.learner.value_or(0)));
    return solvers_alone(deck, size);
  }
  return is_coupled(deck, command) ? both_roles(deck, size, facts) : solvers_alone(deck, size);
}

}  // namespace tramontane
