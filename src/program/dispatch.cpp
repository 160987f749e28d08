#include <algorithm>

#include "kernels/errors.hpp"
#include "src/deck/checks.hpp"
#include "src/output/run_folder.hpp"
#include "src/program/collective_guard.hpp"
#include "src/program/commands.hpp"
#include "src/program/input_files.hpp"

namespace tramontane {
namespace {

/// Rank 0 reads, the others receive: one access to the file system whatever the number of ranks.
std::string read_on_root(const std::string& file, MPI_Comm world, int rank) {
  std::string text;
  collective_guard(world, [&] {
    if (rank == 0) text = read_text_file(file);
  });
  unsigned long long size = text.size();
  MPI_Bcast(&size, 1, MPI_UNSIGNED_LONG_LONG, 0, world);
  text.resize(size);
  MPI_Bcast(text.data(), static_cast<int>(size), MPI_CHAR, 0, world);
  return text;
}

}  // namespace

int dispatch(const CommandLine& line, MPI_Comm world) {
  CommandContext context;
  context.line = line;
  context.world = world;
  MPI_Comm_rank(world, &context.rank);
  MPI_Comm_size(world, &context.size);
  if (line.command == Command::info) return command_info(context);

  const std::string text = read_on_root(line.deck, world, context.rank);
  context.deck = parse_deck(text, line.deck, line.overrides);
  if (line.command == Command::check) return command_check(context);
  if (line.command == Command::scale) return command_scale(context);

  check_deck(context.deck, line.command, context.size);
  context.ranks = rank_layout(context.deck, line.command, context.size);
  collective_guard(world, [&] {
    if (!context.is_root()) return;
    check_input_files(context.deck, line.command);
    prepare_output_folder(context.deck);
    if (is_coupled(context.deck, line.command)) prepare_archive_folder(context.deck);
  });
  switch (line.command) {
    case Command::run:
      return command_run(context);
    case Command::train:
      return command_train(context);
    default:
      return command_forecast(context);
  }
}

}  // namespace tramontane
