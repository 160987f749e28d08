/// The surrogate in the loop: a trained model as a correction of the coarse solver.
#pragma once

#include <memory>

#include "ml/onnx/graph_surrogate.hpp"
#include "ml/surrogate.hpp"
#include "src/coupled/forecast.hpp"

namespace tramontane {

/// Evaluates a model on the solver ranks' tiles. Collective.
class HybridCorrection {
 public:
  /// Throws InputError when the model is not for this grid, interval and these variables.
  HybridCorrection(const Deck& deck, const Model& model, SolverPair& solvers);
  /// With another program's graph.
  HybridCorrection(const Deck& deck, const OnnxModel& model, SolverPair& solvers);

  /// Correction tendency for the coarse solver's fields.
  CellFields operator()(const CellFields& coarse);

  /// Share of values so far that the model's bounds cut off.
  double clamped_fraction() const;

 private:
  SolverPair& solvers_;
  std::unique_ptr<Surrogate> surrogate_;
  std::unique_ptr<GraphSurrogate> graph_;  ///< or another program's
  std::vector<float> statics_;
  double clamped_ = 0, values_ = 0;
};

/// Throws InputError, in one sentence, unless the model is for the deck's grid, interval and variables.
void require_fitting_model(const Deck& deck, const Model& model);

}  // namespace tramontane
