#include "src/program/commands.hpp"

#include "kernels/errors.hpp"

namespace tramontane {

int command_run(const CommandContext&) {
  throw RunError("the coupled run is not linked into this program");
}
int command_train(const CommandContext&) {
  throw RunError("offline training is not linked into this program");
}
int command_forecast(const CommandContext&) {
  throw RunError("forecasting is not linked into this program");
}

}  // namespace tramontane
