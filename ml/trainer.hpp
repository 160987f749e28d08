/// Trains a network on batches of samples, on one or many learner ranks.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/errors.hpp"
#include "ml/backend_options.hpp"
#include "ml/batch.hpp"
#include "ml/gradient_reduction.hpp"
#include "ml/model.hpp"
#include "ml/mpi_deadline.hpp"
#include "ml/optimiser.hpp"
#include "ml/step_graph.hpp"
#include "ml/training_pass.hpp"

namespace tramontane {

/// A sample, weight, loss or gradient is NaN or infinite. Thrown on every learner rank; the text names the step, and the
/// sample, layer or parameter block.
struct NotFinite : RunError {
  explicit NotFinite(const std::string& text, bool arose_here = true) : RunError(text), arose_here(arose_here) {}
  bool arose_here;  ///< on this rank; false: on another learner rank, which names it
};

struct TrainerOptions {
  OptimiserOptions optimiser;
  std::uint64_t seed = 1;                 ///< of the initial weights
  std::string precision = "f32";          ///< of activations, see training_precisions()
  int micro_batch = 1;                    ///< samples per pass: small ones keep activations in cache, gradients add up
  std::size_t bucket_bytes = 256 * 1024;  ///< of gradients that are reduced at once
  double deadline_seconds = 300;          ///< for the other learner ranks
  BackendOptions backend;
  bool graph = true;  ///< on a device: run the step as one recorded graph where that is possible
  std::string kind = "correction";
  double interval_seconds = 3600;  ///< coupling interval of the targets; both go into the model
};

struct TaskTime {
  std::string name;
  double seconds;
};

struct StepReport {
  std::int64_t step = 0;
  double loss = 0;           ///< mean over the global batch, before the update; NaN where it was not read
  double gradient_norm = 0;  ///< before clipping; NaN where it was not read
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
///
/// Gradients of passes are summed exactly (kernels/exact_sums.hpp): with one sample a pass the weights are the same
/// bits whichever rank holds which sample of a global batch, on any number of ranks, as long as all compute a sample's
/// gradient alike: the same back end, processor and number of threads.
///
/// All arrays are in the memory of the back end. A step brings nothing back to the host but its StepStatus, and that
/// only when it reports.
class Trainer {
 public:
  /// Collective over `learners`. Throws InputError on an impossible network (spec.inputs must be the samples' inputs
  /// plus the static fields), precision or back end.
  Trainer(NetworkSpec spec, TrainerOptions options, StaticFields statics, MPI_Comm learners,
          const std::string& backend);

  Trainer(const Trainer&) = delete;  // its tasks call back into it
  Trainer& operator=(const Trainer&) = delete;

  /// Must come before the first step; the same on every rank.
  void set_normaliser(Normaliser normaliser);
  const Normaliser& normaliser() const { return normaliser_; }

  /// One optimiser step on this rank's samples. Collective. Throws NotFinite on every rank if a sample, the loss or the
  /// gradient is not finite, naming the step and the sample, layer or parameter block; the weights are then untouched.
  /// With `report` = false the loss is not read, and a device is not waited for: no step after a bad one changes the
  /// weights, but the next step with a report is the one that throws, and it knows no more than the bad step's number.
  /// `report` must be the same on every rank.
  StepReport step(const std::vector<const Sample*>& samples, bool report = true);

  /// Loss with the averaged weights, over all ranks' samples (any number each). Collective.
  ValidationReport validate(const std::vector<const Sample*>& samples);

  /// The averaged weights with all that goes with them, self-test included.
  Model model(const std::string& provenance = "{}") const;

  /// The averaged weights alone. Throws RunError if a step since the last report failed.
  std::vector<float> averaged_weights() const;

  /// For checkpoints: a trainer restored from a state continues bit for bit. Throws RunError if a step since the last
  /// report failed.
  OptimiserState state() const;
  void restore(const OptimiserState& state) { optimiser_.restore(state); }

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
  bool last_pass() const { return first_ + count_ >= batch_.size(); }
  int count() const { return static_cast<int>(count_); }
  bool records() const;
  void queue_step();
  template <class Pass>
  void for_passes(const Pass& pass);
  double global_batch() const { return static_cast<double>(batch_.size()) * learners_.size(); }
  void stage();
  void gather();
  void evaluate_loss();
  void backward();
  void blocks_done(int begin, int end);
  void reduce();
  void read_status();
  void check_unread() const;
  std::string diagnosis();  // "": it arose on another rank
  std::string not_finite_block();
  void spoil(std::size_t offset);

  NetworkSpec spec_;
  TrainerOptions options_;
  NetworkGraph graph_;
  OwnedCommunicator learners_;
  std::unique_ptr<TrainingPass> pass_;
  Memory memory_;
  BatchLayout layout_;
  Optimiser optimiser_;
  Normaliser normaliser_;
  std::vector<Task> step_tasks_, start_tasks_, pass_tasks_, end_tasks_;  ///< by the host, then before the passes, once
                                                                         ///< a pass, after them
  StepGraph recorded_;
  int recorded_generation_ = 0;  ///< of the batch layout's arrays

  // Flat buffers. The integer sums and the reduced gradient have status elements before the parameters' part.
  MemoryBuffer<float> gradient_;     ///< of one pass
  MemoryBuffer<std::int64_t> sums_;  ///< of this rank's passes
  MemoryBuffer<float> reduced_;      ///< mean over the global batch
  std::vector<GradientBucket> buckets_;
  std::unique_ptr<GradientReducer> reducer_;

  // The step at work.
  std::vector<const Sample*> batch_;
  std::size_t first_ = 0, count_ = 0;  ///< samples of the pass within the batch
  std::size_t bucket_ = 0;             ///< that backward is filling
  StepStatus status_;
  std::int64_t unread_ = 0;  ///< steps since the last report
  std::string problem_;
  std::int64_t attempts_ = 0;     ///< calls of step()
  std::optional<float> wild_;  ///< put into the gradient: a fault that a test ordered
};

}  // namespace tramontane
