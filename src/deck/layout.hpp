/// How many ranks integrate and how many train.
#pragma once

#include <optional>

#include "src/deck/deck.hpp"

namespace tramontane {

/// The subcommands of the program.
enum class Command { run, train, forecast, scale, check, info };
const char* name_of(Command command);

/// Roles of a job's ranks: ranks [0, solvers) integrate, ranks [solvers, solvers + learners) train. These are the job's
/// own numbers; placement.hpp says which of MPI's ranks has which.
struct RankLayout {
  int solvers = 1;
  int learners = 0;
  int total() const { return solvers + learners; }
  bool is_learner(int rank) const { return rank >= solvers; }
  int first_learner() const { return solvers; }
  /// Place among the ranks of the same role, from 0.
  int index_in_role(int rank) const { return is_learner(rank) ? rank - solvers : rank; }
};

/// What is known of a job beside its deck and size.
struct JobFacts {
  int gpus = 0;                     ///< different ones that the ranks see
  std::optional<RankLayout> given;  ///< roles that the programs of the job were started with (--role)
};

/// Whether the command on this deck couples solver ranks with learner ranks, of this job or of another.
bool is_coupled(const Deck& deck, Command command);

/// Whether the two roles are jobs of their own, which meet in exchange.dir.
bool has_two_jobs(const Deck& deck, Command command);

/// Number of tracers that the deck's initial case brings along.
int tracer_count(const Deck& deck);

/// The least number of ranks the command can run on.
int least_ranks(const Deck& deck, Command command);

/// How many of `size` ranks have which role. Left to the program, a quarter of the ranks, at least one, train: no more
/// than there are GPUs where there are some, more when the solver has fewer tiles than ranks. Every rank gets a role.
/// Throws InputError when the deck's numbers, the roles given and the job's size do not fit.
RankLayout rank_layout(const Deck& deck, Command command, int size, const JobFacts& facts = {});

}  // namespace tramontane
