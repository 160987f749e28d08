#include "src/program/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>

#include "kernels/errors.hpp"

namespace tramontane {

std::string deck_help() {
  return "# Every key of a deck with its default. Override one with --set key=value.\n" + dump_deck(Deck{});
}

CommandLine read_command_line(int argc, const char* const* argv) {
  CommandLine line;
  CLI::App app("Climate simulation coupled with neural surrogates.", "tramontane");
  app.set_version_flag("--version", "tramontane " TRAMONTANE_VERSION);
  bool keys = false;
  app.add_flag("--keys", keys, "Print every deck key with default, unit and meaning");
  app.require_subcommand(0, 1);

  const auto add = [&](Command command, const char* description) {
    CLI::App* sub = app.add_subcommand(name_of(command), description);
    sub->callback([&line, command] { line.command = command; });
    if (command == Command::info) return sub;
    sub->add_option("deck", line.deck, "Deck file (YAML)")->required();
    sub->add_option("--set", line.overrides, "Override a deck key: key=value; may be repeated")
        ->allow_extra_args(false)
        ->take_all();
    return sub;
  };
  const auto add_role = [&](CLI::App* sub) {
    sub->add_option_function<std::string>(
           "--role", [&line](const std::string& role) { line.role = role == "solver" ? Role::solver : Role::learner; },
           "What this program is to be where a job is two programs: solver or learner (mpirun ... : ...)")
        ->check(CLI::IsMember({"solver", "learner"}));
  };
  add_role(add(Command::run, "Run what the deck asks for: solver alone, or teach, train, forecast and verify"));
  CLI::App* train = add(Command::train, "Train a network offline from HDF5 archives");
  train->add_option("--from", line.from, "Model file whose weights, architecture and normaliser to begin with");
  add(Command::forecast, "Make and verify forecasts with saved models");
  add(Command::scale, "Run a scaling study on the ranks given");
  CLI::App* check = add(Command::check, "Validate deck, files and rank layout, estimate memory and time; run nothing");
  const std::map<std::string, Command> plans = {
      {"run", Command::run}, {"train", Command::train}, {"forecast", Command::forecast}};
  check->add_option("--for", line.planned, "Command the deck is meant for: run, train or forecast (default run)")
      ->transform(CLI::Transformer(plans));
  check->add_option("--ranks", line.planned_ranks, "Number of ranks the job will have")->check(CLI::PositiveNumber);
  check->add_option("--ranks-per-node", line.planned_ranks_per_node, "Ranks on each node of that job (default all)")
      ->check(CLI::PositiveNumber);
  check->add_option("--gpus-per-node", line.planned_gpus_per_node, "GPUs of each node of that job (default 0)")
      ->check(CLI::NonNegativeNumber);
  add_role(check);
  add(Command::info, "Show version, back ends, devices, MPI and HDF5 as built and as found");

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    line.printed = app.help();
    return line;
  } catch (const CLI::CallForVersion& version) {
    line.printed = fmt::format("{}\n", version.what());
    return line;
  } catch (const CLI::ParseError& error) {
    throw InputError(fmt::format("{}; see tramontane --help", error.what()));
  }
  if (keys)
    line.printed = deck_help();
  else if (app.get_subcommands().empty())
    throw InputError("no subcommand was given: use run, train, forecast, scale, check or info; see tramontane --help");
  return line;
}

}  // namespace tramontane
