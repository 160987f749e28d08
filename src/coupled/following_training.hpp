/// `tramontane train` with exchange.dir: a learner that is a job of its own.
#pragma once

#include "src/program/commands.hpp"

namespace tramontane {

/// Attaches to the run that announces itself in exchange.dir, trains on its archive while that is still being written, and
/// offers weights to it. Returns the exit code. Collective over context.world.
int run_following_training(const CommandContext& context);

}  // namespace tramontane
