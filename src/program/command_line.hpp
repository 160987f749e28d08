/// The command line: subcommand, deck and overrides.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/deck/placement.hpp"

namespace tramontane {

struct CommandLine {
  Command command = Command::info;
  std::string deck;                    ///< path; empty for info
  std::vector<std::string> overrides;  ///< --set key=value
  std::optional<std::string> from;     ///< train: model file to begin with
  Role role = Role::any;               ///< run, check: what this program of the job is to be
  Command planned = Command::run;      ///< check: the command the deck is meant for
  std::optional<int> planned_ranks;    ///< check: how many ranks it is meant for
  std::optional<int> planned_ranks_per_node, planned_gpus_per_node;  ///< check: on what nodes
  std::optional<std::string> printed;  ///< --help, --version, --keys: this text is the whole answer
};

/// Reads the command line. Throws InputError when it makes no sense.
CommandLine read_command_line(int argc, const char* const* argv);

/// All deck keys with defaults, units and meanings, as a commented deck: what --keys prints.
std::string deck_help();

}  // namespace tramontane
