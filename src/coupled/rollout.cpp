#include "src/coupled/rollout.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include "physics/coarse_grain.hpp"
#include "src/coupled/learning.hpp"
#include "src/coupled/teacher.hpp"

namespace tramontane {

namespace {

/// Steps of an interval over those of the rollout's first one, past which the state counts as lost: speeds have grown
/// tenfold, and what is left would only take ever longer.
constexpr long kMostSteps = 10;

bool is_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

}  // namespace

Rollout::Rollout(const Deck& deck, int n, const std::vector<float>& orography)
    : deck_(deck), cells_(static_cast<std::size_t>(kPanels) * n * n) {
  // One tile a panel, whatever tiles the archive was written in: a field is then in the order of a sample.
  const auto grid =
      std::make_shared<const Grid>(Tiling(n, 1, 1), 0, kEarthRadius, deck.physics.reconstruction);
  simulation_ = std::make_unique<Simulation>(deck, grid, MPI_COMM_SELF,
                                             std::vector<double>(orography.begin(), orography.end()),
                                             deck.initial.mean_depth);
}

void Rollout::set_model(const Model& model) {
  if (surrogate_) {
    surrogate_->update(model);
    return;
  }
  const Grid& grid = simulation_->grid();
  const StaticFields statics = surrogate_statics(grid.n());
  surrogate_ = std::make_unique<Surrogate>(model, grid.tiling(), MPI_COMM_SELF, name_of(deck_.surrogate.backend),
                                           deck_.stream.deadline, statics.axes);
  statics_ = statics.values;
}

CellFields Rollout::fields_of(const Sample& sample) const {
  const auto values = [&](std::size_t variable) {
    const auto first = sample.input.begin() + static_cast<std::ptrdiff_t>(variable * cells_);
    return std::vector<double>(first, first + static_cast<std::ptrdiff_t>(cells_));
  };
  CellFields fields;
  fields.depth = values(0);
  const std::vector<double>& orography = simulation_->solver().orography();
  for (std::size_t k = 0; k < cells_; ++k) fields.depth[k] -= orography[k];
  for (int c = 0; c < 3; ++c) fields.velocity[c] = values(static_cast<std::size_t>(kInputVector + c));
  return fields;
}

void Rollout::set_state(const Sample& sample) {
  simulation_->set_fields(fields_of(sample));
  simulation_->restart_clock();
  simulation_->solver().set_forcing({});
  first_steps_ = 0;
}

/// As in a hybrid forecast: asked once an interval, held over it.
void Rollout::hold_correction() {
  const CellFields now = simulation_->fields();
  std::vector<float> inputs;
  for (const auto& variable : surrogate_inputs(now, simulation_->solver().orography()))
    inputs.insert(inputs.end(), variable.begin(), variable.end());
  const std::vector<float> out = surrogate_->evaluate(inputs, statics_);
  const auto part = [&](std::size_t variable) {
    const auto first = out.begin() + static_cast<std::ptrdiff_t>(variable * cells_);
    return std::vector<double>(first, first + static_cast<std::ptrdiff_t>(cells_));
  };
  CellFields tendency;
  tendency.depth = part(0);
  for (int c = 0; c < 3; ++c) tendency.velocity[c] = part(static_cast<std::size_t>(kTargetVector + c));
  ShallowWater& solver = simulation_->solver();
  solver.set_forcing(correction_forcing(solver, simulation_->state(), tendency));
}

/// One coupling interval. False when the state is lost.
bool Rollout::advance() {
  try {
    simulation_->plan(deck_.surrogate.interval);
    const long steps = simulation_->progress().plan.steps;
    if (first_steps_ == 0) first_steps_ = steps;
    if (steps > kMostSteps * first_steps_) return false;
    while (simulation_->under_way()) simulation_->step();
    simulation_->settle();
  } catch (const RunError&) {  // no longer finite
    return false;
  } catch (const InputError&) {  // time.dt has become too long for the state
    return false;
  }
  return true;
}

std::optional<Sample> Rollout::pair(const Sample& start, const Sample& truth, int intervals) {
  set_state(start);
  for (int k = 1; k < intervals; ++k) {
    hold_correction();
    if (!advance()) return std::nullopt;
  }
  simulation_->solver().set_forcing({});
  Sample out;
  out.info = start.info;
  out.n = start.n;
  for (const auto& variable : surrogate_inputs(simulation_->fields(), simulation_->solver().orography()))
    out.input.append(variable);
  if (!advance()) return std::nullopt;
  const CellFields lacking = tendency_between(simulation_->fields(), fields_of(truth), deck_.surrogate.interval);
  out.target.append(lacking.depth);
  for (const auto& component : lacking.velocity) out.target.append(component);
  if (!is_finite(out.input) || !is_finite(out.target)) return std::nullopt;
  return out;
}

}  // namespace tramontane
