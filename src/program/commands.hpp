/// The subcommands. Each is called on every rank with the same deck and returns the exit code.
#pragma once

#include <mpi.h>

#include "src/program/command_line.hpp"

namespace tramontane {

/// What a subcommand gets to know.
struct CommandContext {
  CommandLine line;
  Deck deck;  ///< read, overridden and, but for check and info, checked by check_deck
  MPI_Comm world = MPI_COMM_WORLD;
  int rank = 0;
  int size = 1;
  RankLayout ranks;  ///< meaningful for run, train and forecast

  bool is_root() const { return rank == 0; }
};

int command_run(const CommandContext& context);
int command_train(const CommandContext& context);
int command_forecast(const CommandContext& context);
int command_scale(const CommandContext& context);
int command_check(const CommandContext& context);
int command_info(const CommandContext& context);

/// Reads deck and overrides (the file on rank 0 alone), checks them, checks that the data files and the output folder
/// are usable, then calls the subcommand. Collective over `world`; throws the same error on every rank.
int dispatch(const CommandLine& line, MPI_Comm world);

}  // namespace tramontane
