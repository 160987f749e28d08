/// AdamW with warm-up, cosine schedule, clipping by the global norm, and a moving average of the weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ml/network_graph.hpp"

namespace tramontane {

struct OptimiserOptions {
  double learning_rate = 1e-3;      ///< at the end of the warm-up
  double floor_fraction = 0.01;     ///< of the learning rate, at the end of the schedule and after it
  std::int64_t warmup_steps = 100;  ///< linear from zero
  std::int64_t total_steps = 2000;  ///< where the cosine reaches its floor
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double weight_decay = 0.01;    ///< on convolution weights only
  double clip_norm = 1.0;        ///< largest global norm of the gradient; 0: no clipping
  double average_decay = 0.999;  ///< of the moving average; starts lower, as (1 + t) / (10 + t)
};

/// Everything that a restart needs to go on bit for bit.
struct OptimiserState {
  std::int64_t step = 0;
  std::vector<float> parameters, first_moment, second_moment, average;
  bool operator==(const OptimiserState&) const = default;
};

class Optimiser {
 public:
  Optimiser(const NetworkGraph& graph, OptimiserOptions options, std::vector<float> parameters);

  const std::vector<float>& parameters() const { return state_.parameters; }
  const std::vector<float>& average() const { return state_.average; }
  std::int64_t step() const { return state_.step; }
  /// Learning rate of the step with number `step`, counted from 1.
  double learning_rate(std::int64_t step) const;

  /// Euclidean norm of the gradient, blocks summed in order in double precision. If it is not finite, `culprit` names
  /// the first block with such a value.
  double gradient_norm(const std::vector<float>& gradient, std::string& culprit) const;
  /// One step, the gradient scaled so that its norm is at most clip_norm.
  void update(const std::vector<float>& gradient, double norm);

  const OptimiserState& state() const { return state_; }
  /// Throws InputError when the sizes do not fit the network.
  void restore(OptimiserState state);

 private:
  NetworkGraph graph_;
  OptimiserOptions options_;
  OptimiserState state_;
};

}  // namespace tramontane
