/// Trains a network on batches of samples, on one or many learner ranks.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ml/batch.hpp"
#include "ml/gradient_reduction.hpp"
#include "ml/model.hpp"
#include "ml/network.hpp"
#include "ml/optimiser.hpp"

namespace tramontane {

struct TrainerOptions {
  OptimiserOptions optimiser;
  std::uint64_t seed = 1;         ///< of the initial weights
  int micro_batch = 1;            ///< samples per pass: small ones keep activations in cache, gradients add up
  double deadline_seconds = 300;  ///< for the other learner ranks
  std::string kind = "correction";
  double interval_seconds = 3600;  ///< coupling interval of the targets; both go into the model
};

struct TaskTime {
  std::string name;
  double seconds;
};

struct StepReport {
  std::int64_t step = 0;
  double loss = 0;           ///< mean over the global batch, before the update
  double gradient_norm = 0;  ///< before clipping
  double learning_rate = 0;
  double seconds = 0;
  std::vector<TaskTime> tasks;
};

struct ValidationReport {
  std::int64_t samples = 0;
  double loss = 0;                   ///< area-weighted mean squared error of normalised targets, mean of the variables
  std::vector<double> per_variable;  ///< in the order of sample_targets()
  double persistence = 0;            ///< loss of predicting zero
};

/// The loss is the area-weighted mean over cells and variables of the squared error of the normalised target, averaged
/// over the global batch. Every rank holds the same number of samples per step and the same weights, to the bit.
class Trainer {
 public:
  /// Collective over `learners`. Throws InputError on an impossible network (spec.inputs must be the samples' inputs
  /// plus the static fields) or back end.
  Trainer(NetworkSpec spec, TrainerOptions options, StaticFields statics, MPI_Comm learners,
          const std::string& backend);

  Trainer(const Trainer&) = delete;  // its tasks call back into it
  Trainer& operator=(const Trainer&) = delete;

  /// Must come before the first step; the same on every rank.
  void set_normaliser(Normaliser normaliser);
  const Normaliser& normaliser() const { return normaliser_; }

  /// One optimiser step on this rank's samples. Collective. Throws RunError on every rank if a sample, the loss or the
  /// gradient is not finite, naming the step and the layer or parameter block; the weights are then untouched.
  StepReport step(const std::vector<const Sample*>& samples);

  /// Loss with the averaged weights, over all ranks' samples (any number each). Collective.
  ValidationReport validate(const std::vector<const Sample*>& samples);

  /// The averaged weights with all that goes with them, self-test included.
  Model model(const std::string& provenance = "{}") const;

  /// For checkpoints: a trainer restored from a state continues bit for bit.
  const OptimiserState& state() const { return optimiser_.state(); }
  void restore(OptimiserState state) { optimiser_.restore(std::move(state)); }

  const NetworkSpec& spec() const { return spec_; }
  std::size_t parameters() const { return graph_.parameters(); }
  /// Floating-point operations of one training step on one sample: forward, data and weight gradients.
  double flops_per_sample() const { return 3 * graph_.flops_per_sample(spec_.n); }

 private:
  struct Task {
    std::string name;
    std::function<void()> run;
    double seconds = 0;
  };
  void list_tasks();
  void run(std::vector<Task>& tasks);
  void gather_batch();
  void predict();
  void evaluate_loss();
  void check_finite();

  NetworkSpec spec_;
  TrainerOptions options_;
  NetworkGraph graph_;
  BatchLayout layout_;
  GradientReducer reducer_;
  Optimiser optimiser_;
  Normaliser normaliser_;
  std::shared_ptr<LocalHalo<float>> halo_;
  PanelFrames frames_;
  Network<float> network_;
  NetworkGradient<float> network_gradient_;
  std::vector<Task> pass_tasks_, step_tasks_;  ///< once per micro-batch, once per step

  // The step at work.
  std::vector<const Sample*> batch_;
  std::size_t first_ = 0, count_ = 0;  ///< samples of the micro-batch within the batch
  std::vector<std::vector<float>> targets_;
  std::vector<float> prediction_;  ///< the network's output with vectors turned back
  std::vector<float> gradient_;    ///< parameters, then the loss, so that one reduction serves both
  double loss_ = 0, norm_ = 0;
  std::vector<double> errors_;
  std::string problem_;
};

}  // namespace tramontane
