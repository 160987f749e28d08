#include "kernels/errors.hpp"
#include "src/program/commands.hpp"

namespace tramontane {

int command_scale(const CommandContext&) {
  throw InputError("scaling studies come with a later version of tramontane: use run with different numbers of ranks");
}

}  // namespace tramontane
