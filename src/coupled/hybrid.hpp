/// The surrogate in the loop: a trained model as a correction of the coarse solver.
#pragma once

#include <memory>

#include "ml/onnx/graph_surrogate.hpp"
#include "ml/surrogate.hpp"
#include "src/coupled/fallback.hpp"
#include "src/coupled/forecast.hpp"

namespace tramontane {

/// Evaluates a model on the solver ranks' tiles, guarded if the deck asks for it. Collective.
class HybridCorrection {
 public:
  /// Throws InputError when the model is not for this grid, interval and these variables.
  HybridCorrection(const Deck& deck, const Model& model, SolverPair& solvers);
  /// With another program's graph.
  HybridCorrection(const Deck& deck, const OnnxModel& model, SolverPair& solvers);

  /// Correction tendency for the coarse solver's fields. Of a guarded hybrid it is finite whatever the fields are.
  CellFields operator()(const CellFields& coarse);

  MPI_Comm comm() const { return solvers_.comm(); }
  bool is_guarded() const { return guard_ != nullptr; }
  /// Share of the cells in which physics alone ran, in the last call and in all since this was made: the sum of one less
  /// the guard's weight. The same on every rank, without a message. Zero without a guard.
  double fallback_last() const { return fallback_.last(); }
  double fallback_fraction() const { return fallback_.fraction(); }
  /// For maps and reports.
  FallbackTally& fallback() { return fallback_; }

  /// Share of values so far that the model's bounds cut off.
  double clamped_fraction() const;

 private:
  void say_if_bounds_only() const;

  SolverPair& solvers_;
  std::unique_ptr<Surrogate> surrogate_;
  std::unique_ptr<GraphSurrogate> graph_;  ///< or another program's
  std::vector<float> statics_;
  const SurrogateGuard* guard_ = nullptr;      ///< at work, if any
  std::unique_ptr<SurrogateGuard> graph_guard_;
  FallbackTally fallback_;
  double clamped_ = 0, values_ = 0;
};

/// The forecasts of the coarse solver with this correction, and the maps of what its guard left out, which is also
/// logged. Collective; returns and throws as Forecast::run_hybrid does.
bool run_hybrid_forecasts(Forecast& forecast, HybridCorrection& correction, bool show_progress);

/// Throws InputError, in one sentence, unless the model is for the deck's grid, interval and variables.
void require_fitting_model(const Deck& deck, const Model& model);

}  // namespace tramontane
