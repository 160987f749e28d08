#include <spdlog/spdlog.h>

#include "kernels/errors.hpp"
#include "src/deck/checks.hpp"
#include "src/output/run_folder.hpp"
#include "src/program/collective_guard.hpp"
#include "src/program/commands.hpp"
#include "src/program/input_files.hpp"

namespace tramontane {

int dispatch(const CommandContext& context) {
  if (context.line.command == Command::info) return command_info(context);
  if (context.line.command == Command::check) return command_check(context);
  if (context.line.command == Command::scale) return command_scale(context);

  // Two builds in one job may know different back ends.
  collective_guard(context.world, [&] { check_deck(context.deck, context.line.command, context.ranks); });
  collective_guard(context.world, [&] {
    if (!context.is_root()) return;
    check_input_files(context.deck, context.line.command);
    prepare_output_folder(context.deck);
    if (is_coupled(context.deck, context.line.command)) prepare_archive_folder(context.deck);
    if (context.seats.back().node > 0 || context.line.role != Role::any) spdlog::info("{}", seats_text(context.seats));
  });
  switch (context.line.command) {
    case Command::run:
      return command_run(context);
    case Command::train:
      return command_train(context);
    default:
      return command_forecast(context);
  }
}

}  // namespace tramontane
