/// AdamW with warm-up, cosine schedule, clipping by the global norm, and a moving average of the weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/network_optimiser.hpp"
#include "ml/memory.hpp"
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
  std::int64_t tuning_steps = 0;  ///< of fine-tuning after total_steps: a second schedule, warmed up over its tenth
  double tuning_fraction = 0.1;   ///< of the learning rate, at the peak of that schedule
};

/// Everything that a restart needs to go on bit for bit.
struct OptimiserState {
  std::int64_t step = 0;
  std::vector<float> parameters, first_moment, second_moment, average;
  bool operator==(const OptimiserState&) const = default;
};

/// Flat buffers of parameters, moments and average in the network's memory. Nothing here waits for a device but what
/// says that it reads.
class Optimiser {
 public:
  Optimiser(const NetworkGraph& graph, OptimiserOptions options, const std::vector<float>& parameters,
            Memory memory = Memory::host);

  /// In the network's memory, as graph.blocks lays them out.
  const float* parameters() const { return parameters_.data(); }
  const float* average() const { return average_.data(); }
  /// Steps taken; those after a failed one, of which the host has not heard yet, included.
  std::int64_t step() const { return step_; }
  /// Learning rate of the step with number `step`, counted from 1.
  double learning_rate(std::int64_t step) const;

  /// Starts the next step: makes what changes from step to step readable for clip and update, which only queue kernels
  /// that read it, so that they can be recorded once and run for every step.
  void begin_step();
  /// Takes the norm of the mean gradient, in a fixed order and in double precision, and decides how it is clipped and
  /// whether the step may be taken at all. `reduced` (network's memory) holds kExactStatus status elements, then the
  /// gradient.
  void clip(const float* reduced);
  /// One step with that gradient; after a failed step nothing changes any more until the status is read.
  void update(const float* reduced);

  /// Reads what became of the steps since the last call: waits for them. A failed step is undone: step() is then the
  /// number of the last good one.
  StepStatus read_status();
  /// The same without forgetting a failure.
  StepStatus peek_status() const;

  /// Reads the buffers.
  OptimiserState state() const;
  std::vector<float> average_on_host() const;
  /// Throws InputError when the sizes do not fit the network.
  void restore(const OptimiserState& state);

 private:
  bool is_tuning(std::int64_t step) const { return options_.tuning_steps > 0 && step > options_.total_steps; }

  std::size_t size_;
  OptimiserOptions options_;
  std::int64_t step_ = 0;
  MemoryBuffer<float> parameters_, first_moment_, second_moment_, average_;
  MemoryBuffer<unsigned char> decays_;  ///< 1 where weight decay applies
  MemoryBuffer<double> workspace_;      ///< of the norm
  MemoryBuffer<AdamwStep> scalars_;     ///< one: the step at work
  MemoryBuffer<StepStatus> status_;     ///< one
};

}  // namespace tramontane
