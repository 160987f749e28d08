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

int tracer_count(const Deck& deck) {
  return deck.initial.kind == InitialCase::williamson1 ? 1 : 0;
}

int least_ranks(const Deck& deck, Command command) {
  const int learners = std::max(1, deck.ranks.learner.value_or(1)), solvers = deck.ranks.solver.value_or(1);
  if (command == Command::train) return learners;
  return is_coupled(deck, command) ? solvers + learners : solvers;
}

RankLayout rank_layout(const Deck& deck, Command command, int world_size) {
  const int tiles = kPanels * deck.grid.tiles_per_edge * deck.grid.tiles_per_edge;
  const auto refuse_unless_whole = [&](const std::string& key, int asked) {
    if (asked != world_size)
      throw InputError(fmt::format("{}{} = {} does not match the {} rank(s) of this job: start it with mpirun -n {}",
                                   deck.where(key), key, asked, world_size, asked));
  };
  if (command == Command::train) {
    if (deck.ranks.learner) refuse_unless_whole("ranks.learner", *deck.ranks.learner);
    return {0, world_size};
  }
  if (!is_coupled(deck, command)) {
    if (deck.ranks.solver) refuse_unless_whole("ranks.solver", *deck.ranks.solver);
    if (world_size > tiles)
      throw InputError(fmt::format(
          "{}{} ranks for {} tiles: raise grid.tiles_per_edge (6 tiles_per_edge^2 tiles) or start fewer ranks",
          deck.where("grid.tiles_per_edge"), world_size, tiles));
    return {world_size, 0};
  }

  if (world_size < 2)
    throw InputError(fmt::format(
        "{}surrogate.kind = {} needs at least 2 ranks, one to integrate and one to train: start with mpirun -n 2, or "
        "set surrogate.kind to none",
        deck.where("surrogate.kind"), name_of(deck.surrogate.kind)));
  RankLayout layout;
  if (deck.ranks.solver && deck.ranks.learner)
    layout = {*deck.ranks.solver, *deck.ranks.learner};
  else if (deck.ranks.solver)
    layout = {*deck.ranks.solver, world_size - *deck.ranks.solver};
  else if (deck.ranks.learner)
    layout = {world_size - *deck.ranks.learner, *deck.ranks.learner};
  else {
    layout.solvers = std::min(world_size - std::max(1, world_size / 4), tiles);
    layout.learners = world_size - layout.solvers;
  }
  const std::string place = deck.where(deck.ranks.solver ? "ranks.solver" : "ranks.learner");
  if (layout.solvers < 1 || layout.learners < 1 || layout.total() != world_size)
    throw InputError(
        fmt::format("{}ranks.solver = {} and ranks.learner = {} do not fit the {} ranks of this job: each must be at "
                    "least 1 and their sum the number of ranks",
                    place, deck.ranks.solver ? std::to_string(*deck.ranks.solver) : "auto",
                    deck.ranks.learner ? std::to_string(*deck.ranks.learner) : "auto", world_size));
  if (layout.solvers > tiles)
    throw InputError(fmt::format("{}{} solver ranks for {} tiles: raise grid.tiles_per_edge or lower ranks.solver",
                                 place, layout.solvers, tiles));
  return layout;
}

}  // namespace tramontane
