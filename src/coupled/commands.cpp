#include "src/program/commands.hpp"

#include "src/coupled/coupled_run.hpp"
#include "src/coupled/following_training.hpp"
#include "src/coupled/solver_run.hpp"

namespace tramontane {

int command_run(const CommandContext& context) {
  return context.deck.surrogate.kind == SurrogateKind::none ? run_solver_alone(context) : run_coupled(context);
}

int command_train(const CommandContext& context) {
  return has_two_jobs(context.deck, Command::train) ? run_following_training(context) : run_training(context);
}

int command_forecast(const CommandContext& context) {
  return run_forecast(context);
}

}  // namespace tramontane
