#include "ml/optimiser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/errors.hpp"
#include "kernels/ordered_sum.hpp"

namespace tramontane {

Optimiser::Optimiser(const NetworkGraph& graph, OptimiserOptions options, const std::vector<float>& parameters,
                     Memory memory)
    : size_(graph.parameters()),
      options_(options),
      parameters_("parameters", size_, memory),
      first_moment_("first moment", size_, memory),
      second_moment_("second moment", size_, memory),
      average_("average of the parameters", size_, memory),
      decays_("weights that decay", size_, memory),
      workspace_("workspace of the norm", ordered_sums_workspace(1, size_), memory),
      scalars_("scalars of the step", 1, memory),
      status_("status of the step", 1, memory) {
  std::vector<unsigned char> decays(size_, 0);
  for (const ParameterBlock& block : graph.blocks)
    std::fill_n(decays.begin() + static_cast<std::ptrdiff_t>(block.offset), block.size, block.decays ? 1 : 0);
  decays_.copy_from_host(decays.data(), size_);
  parameters_.copy_from_host(parameters.data(), size_);
  average_.copy_from_host(parameters.data(), size_);
}

double Optimiser::learning_rate(std::int64_t step) const {
  const OptimiserOptions& o = options_;
  const bool tunes = is_tuning(step);
  const double peak = tunes ? o.learning_rate * o.tuning_fraction : o.learning_rate;
  const std::int64_t done = tunes ? step - o.total_steps : step;
  const std::int64_t total = tunes ? o.tuning_steps : o.total_steps;
  const std::int64_t warmup = tunes ? o.tuning_steps / 10 : o.warmup_steps;
  if (done <= warmup) return peak * static_cast<double>(done) / static_cast<double>(warmup);
  const double span = static_cast<double>(std::max<std::int64_t>(1, total - warmup));
  const double progress = std::min(1.0, static_cast<double>(done - warmup) / span);
  const double shape = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return peak * (o.floor_fraction + (1 - o.floor_fraction) * shape);
}

void Optimiser::begin_step() {
  const OptimiserOptions& o = options_;
  const double t = static_cast<double>(++step_);
  AdamwStep step{};
  step.number = step_;
  step.learning_rate = static_cast<float>(learning_rate(step_));
  step.beta1 = static_cast<float>(o.beta1);
  step.beta2 = static_cast<float>(o.beta2);
  step.epsilon = static_cast<float>(o.epsilon);
  step.first_correction = static_cast<float>(1 / (1 - std::pow(o.beta1, t)));
  step.second_correction = static_cast<float>(1 / (1 - std::pow(o.beta2, t)));
  step.weight_decay = static_cast<float>(o.weight_decay);
  // The average starts anew with a schedule: its memory must not reach back over the beginning.
  const double since = is_tuning(step_) ? t - static_cast<double>(o.total_steps) : t;
  step.average_decay = static_cast<float>(std::min(o.average_decay, (1 + since) / (10 + since)));
  scalars_.copy_from_host(&step, 1);
}

void Optimiser::clip(const float* reduced) {
  in_space(status_.memory(), [&](auto space) {
    using Space = decltype(space);
    ordered_sums<Space>(1, size_, SquaresOfElements{reduced + kExactStatus}, workspace_.data(),
                        &status_.data()->norm_squared);
    judge_step<Space>(scalars_.data(), options_.clip_norm, reduced, status_.data());
  });
}

void Optimiser::update(const float* reduced) {
  const AdamwBuffers buffers{reduced + kExactStatus, decays_.data(),        parameters_.data(),
                             first_moment_.data(),   second_moment_.data(), average_.data()};
  in_space(status_.memory(),
           [&](auto space) { adamw_update<decltype(space)>(scalars_.data(), size_, status_.data(), buffers); });
}

StepStatus Optimiser::peek_status() const {
  StepStatus status;
  status_.copy_to_host(&status, 1);
  return status;
}

StepStatus Optimiser::read_status() {
  const StepStatus status = peek_status();
  if (status.failed_step != 0) {
    step_ = status.failed_step - 1;
    const StepStatus fresh;
    status_.copy_from_host(&fresh, 1);
  }
  return status;
}

OptimiserState Optimiser::state() const {
  OptimiserState state;
  state.step = step_;
  auto read = [&](const MemoryBuffer<float>& buffer, std::vector<float>& to) {
    to.resize(size_);
    buffer.copy_to_host(to.data(), size_);
  };
  read(parameters_, state.parameters);
  read(first_moment_, state.first_moment);
  read(second_moment_, state.second_moment);
  read(average_, state.average);
  return state;
}

std::vector<float> Optimiser::average_on_host() const {
  std::vector<float> average(size_);
  average_.copy_to_host(average.data(), size_);
  return average;
}

void Optimiser::restore(const OptimiserState& state) {
  if (state.parameters.size() != size_ || state.first_moment.size() != size_ || state.second_moment.size() != size_ ||
      state.average.size() != size_)
    throw InputError(
        fmt::format("the optimiser's checkpoint holds {} parameters, the network of this run has {}: "
                    "restart with the deck that wrote it",
                    state.parameters.size(), size_));
  step_ = state.step;
  const StepStatus fresh;
  status_.copy_from_host(&fresh, 1);
  parameters_.copy_from_host(state.parameters.data(), size_);
  first_moment_.copy_from_host(state.first_moment.data(), size_);
  second_moment_.copy_from_host(state.second_moment.data(), size_);
  average_.copy_from_host(state.average.data(), size_);
}

}  // namespace tramontane
