/// The subcommands. Each is called on every rank with the same deck and returns the exit code.
#pragma once

#include <mpi.h>

#include "src/program/command_line.hpp"

namespace tramontane {

/// What a subcommand gets to know.
struct CommandContext {
  CommandLine line;
  Deck deck;  ///< read, overridden and, but for check and info, checked by check_deck
  /// All ranks of the job, numbered so that those that integrate come first (see RankLayout). MPI_COMM_WORLD has the same
  /// ranks in the order in which they were started.
  MPI_Comm world = MPI_COMM_WORLD;
  int rank = 0;  ///< in `world`
  int size = 1;
  RankLayout ranks;         ///< of `world`; of the job that is planned under check
  std::vector<Seat> seats;  ///< where each rank of `ranks` sits

  bool is_root() const { return rank == 0; }
};

int command_run(const CommandContext& context);
int command_train(const CommandContext& context);
int command_forecast(const CommandContext& context);
int command_scale(const CommandContext& context);
int command_check(const CommandContext& context);
int command_info(const CommandContext& context);

/// Checks the deck, checks that the data files and the output folder are usable, then calls the subcommand. `context` is
/// what begin_job made. Collective; throws the same error on every rank.
int dispatch(const CommandContext& context);

}  // namespace tramontane
