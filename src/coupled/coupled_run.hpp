/// The coupled job: teach, train, hand the model back, forecast, verify.
#pragma once

#include "src/program/commands.hpp"

namespace tramontane {

/// `tramontane run` with a surrogate. Collective over all ranks; returns the exit code.
int run_coupled(const CommandContext& context);
/// `tramontane train`: offline, from archives. All ranks are learners.
int run_training(const CommandContext& context);
/// `tramontane forecast`: from a saved model. All ranks are solvers.
int run_forecast(const CommandContext& context);

}  // namespace tramontane
