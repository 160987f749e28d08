/// Which ranks integrate and which train.
#pragma once

#include "src/deck/deck.hpp"

namespace tramontane {

/// The subcommands of the program.
enum class Command { run, train, forecast, scale, check, info };
const char* name_of(Command command);

/// Ranks [0, solvers) of the world integrate, ranks [solvers, solvers + learners) train.
struct RankLayout {
  int solvers = 1;
  int learners = 0;
  int total() const { return solvers + learners; }
  bool is_learner(int world_rank) const { return world_rank >= solvers; }
};

/// Whether the command on this deck couples solver ranks with learner ranks.
bool is_coupled(const Deck& deck, Command command);

/// Number of tracers that the deck's initial case brings along.
int tracer_count(const Deck& deck);

/// The least number of ranks the command can run on.
int least_ranks(const Deck& deck, Command command);

/// Deals the world's ranks to the roles. Left to the program, a quarter of the ranks, at least one, train, and more
/// when the solver has fewer tiles than ranks. Every rank gets a role.
/// Throws InputError when the deck's numbers and the world's size do not fit.
RankLayout rank_layout(const Deck& deck, Command command, int world_size);

}  // namespace tramontane
