/// A run of the solver alone: output, budgets, errors where the exact solution is known.
#pragma once

#include "src/program/commands.hpp"

namespace tramontane {

/// `tramontane run` with surrogate.kind none. Collective over all ranks of the context; returns the exit code.
int run_solver_alone(const CommandContext& context);

}  // namespace tramontane
