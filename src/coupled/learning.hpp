/// What learner ranks do: take samples in, train, validate, and hand out a model.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "ml/trainer.hpp"
#include "src/checkpoint/training_checkpoint.hpp"
#include "src/coupled/batch_source.hpp"
#include "src/coupled/rollout_schedule.hpp"
#include "src/deck/deck.hpp"
#include "src/output/metrics.hpp"
#include "src/output/summary.hpp"

namespace tramontane {

/// Outputs are bounded by this multiple of the largest target that the normaliser saw.
inline constexpr double kBoundFactor = 1.5;

/// What a learner knows beforehand.
struct LearningPlan {
  int n = 0;               ///< coarse grid
  double interval = 3600;  ///< s
  std::int64_t steps = 0;  ///< of the whole training
  RolloutSchedule rollout;  ///< fine-tuning at its end
  std::string provenance = "{}";
  std::optional<Model> from;                  ///< weights, architecture and normaliser to begin with
  std::optional<TrainingCheckpoint> resumed;  ///< to continue
  bool contains_bad_steps = false;  ///< see BadSteps; otherwise one ends the training
  bool keep_best = false;  ///< keep the weights with the least held-out loss, and heed learner.patience
};

/// What the program may want to do while training runs.
struct LearningHooks {
  std::function<void(std::int64_t step)> after_step;  ///< on every learner rank
  /// Both or none: whether a step beyond those of learner.validate_every needs a validation (the same on every rank),
  /// and what follows any validation, on every rank; `make` gives the model as it is then.
  std::function<bool(std::int64_t step)> validation_due;
  std::function<void(std::int64_t step, const ValidationReport&, const std::function<Model()>& make)> validated;
  /// Both or none. Local: whether this rank wants a checkpoint; rank 0's clock counts. Collective: takes one in, also
  /// at the end, whatever ended training.
  std::function<bool()> checkpoint_due;
  std::function<void(TrainingCheckpoint)> checkpoint;
  /// When the source of batches has broken off: what is to be done then, with the training as it stands (nothing before
  /// the first step is prepared). Returns whether training ends here, without a model. Signals are left to it.
  std::function<bool(const std::optional<TrainingCheckpoint>&)> broken_off;
  /// Instead of it: waits until the source may be asked again. Returns whether training ends here as after a signal: with a
  /// checkpoint and the model as it is, if there has been a step. Signals are heard as ever.
  std::function<bool()> held_up;
};

struct LearningOutcome {
  Model model;                ///< of the last step
  /// Of the least held-out loss, where the plan asks for it and there is a validation. After a fine-tuning that of the
  /// longest rollouts counts, from the fine-tuning's beginning on.
  std::optional<Model> best;
  LearnerSummary summary;
  bool is_stopped = false;  ///< by a signal
  std::optional<TrainingCheckpoint> last_state;  ///< where hooks.broken_off is set: of the end
};

/// Trains to the plan's last step, on batches from the source. A signal ends training after the step at hand; the model
/// is what it is then. Collective over `learners`; `metrics` on its rank 0 only.
LearningOutcome learn(const Deck& deck, const LearningPlan& plan, BatchSource& batches, MPI_Comm learners,
                      MetricsWriter* metrics, const LearningHooks& hooks);

/// The network that such a training has.
NetworkSpec training_network(const Deck& deck, const LearningPlan& plan);

/// Static input channels of the coarse grid: position on the sphere and on the panel; the cell areas that weigh the
/// loss; the frames of the panels.
StaticFields surrogate_statics(int n);

/// Centres of the coarse grid's cells, for guard and training distribution: the first three of its statics.
CellPositions cell_positions(int n);

/// Writes the model as ONNX beside learner.model if output.onnx asks for it. Call on one rank. Throws RunError.
void save_as_onnx(const Deck& deck, const Model& model);

}  // namespace tramontane
