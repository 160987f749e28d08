#include "src/program/commands.hpp"

#include "kernels/errors.hpp"
#include "src/coupled/solver_run.hpp"

namespace tramontane {

int command_run(const CommandContext& context) {
  if (context.deck.surrogate.kind == SurrogateKind::none) return run_solver_alone(context);
  throw RunError("the coupled run is not linked into this program");
}
int command_train(const CommandContext&) {
  throw RunError("offline training is not linked into this program");
}
int command_forecast(const CommandContext&) {
  throw RunError("forecasting is not linked into this program");
}

}  // namespace tramontane
