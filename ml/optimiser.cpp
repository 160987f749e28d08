#include "ml/optimiser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/network_optimiser.hpp"

namespace tramontane {

Optimiser::Optimiser(const NetworkGraph& graph, OptimiserOptions options, std::vector<float> parameters)
    : graph_(graph), options_(options) {
  state_.average = parameters;
  state_.first_moment.assign(parameters.size(), 0.0f);
  state_.second_moment.assign(parameters.size(), 0.0f);
  state_.parameters = std::move(parameters);
}

double Optimiser::learning_rate(std::int64_t step) const {
  const OptimiserOptions& o = options_;
  if (step <= o.warmup_steps) return o.learning_rate * static_cast<double>(step) / static_cast<double>(o.warmup_steps);
  const double span = static_cast<double>(std::max<std::int64_t>(1, o.total_steps - o.warmup_steps));
  const double progress = std::min(1.0, static_cast<double>(step - o.warmup_steps) / span);
  const double shape = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return o.learning_rate * (o.floor_fraction + (1 - o.floor_fraction) * shape);
}

double Optimiser::gradient_norm(const std::vector<float>& gradient, std::string& culprit) const {
  culprit.clear();
  double total = 0;
  for (const ParameterBlock& block : graph_.blocks) {
    // Eight partial sums in a fixed pattern: as reproducible as one, and vectorised.
    double partial[8] = {};
    const float* g = gradient.data() + block.offset;
    std::size_t k = 0;
    for (; k + 8 <= block.size; k += 8)
      for (int lane = 0; lane < 8; ++lane) partial[lane] += static_cast<double>(g[k + lane]) * g[k + lane];
    for (; k < block.size; ++k) partial[0] += static_cast<double>(g[k]) * g[k];
    double sum = 0;
    for (double p : partial) sum += p;
    if (!std::isfinite(sum) && culprit.empty()) culprit = block.name;
    total += sum;
  }
  return std::sqrt(total);
}

void Optimiser::update(const std::vector<float>& gradient, double norm) {
  const OptimiserOptions& o = options_;
  const double t = static_cast<double>(++state_.step);
  AdamwStep step{};
  step.learning_rate = static_cast<float>(learning_rate(state_.step));
  step.beta1 = static_cast<float>(o.beta1);
  step.beta2 = static_cast<float>(o.beta2);
  step.epsilon = static_cast<float>(o.epsilon);
  step.first_correction = static_cast<float>(1 / (1 - std::pow(o.beta1, t)));
  step.second_correction = static_cast<float>(1 / (1 - std::pow(o.beta2, t)));
  step.gradient_scale = static_cast<float>(o.clip_norm > 0 && norm > o.clip_norm ? o.clip_norm / norm : 1.0);
  step.average_decay = static_cast<float>(std::min(o.average_decay, (1 + t) / (10 + t)));
  for (const ParameterBlock& block : graph_.blocks) {
    step.weight_decay = static_cast<float>(block.decays ? o.weight_decay : 0.0);
    adamw_update<Kokkos::DefaultHostExecutionSpace>(step, block.offset, block.offset + block.size, gradient.data(),
                                                    state_.parameters.data(), state_.first_moment.data(),
                                                    state_.second_moment.data(), state_.average.data());
  }
}

void Optimiser::restore(OptimiserState state) {
  const std::size_t size = graph_.parameters();
  if (state.parameters.size() != size || state.first_moment.size() != size || state.second_moment.size() != size ||
      state.average.size() != size)
    throw InputError(
        fmt::format("the optimiser's checkpoint holds {} parameters, the network of this run has {}: "
                    "restart with the deck that wrote it",
                    state.parameters.size(), size));
  state_ = std::move(state);
}

}  // namespace tramontane
