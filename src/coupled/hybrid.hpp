/// The surrogate in the loop: a trained model as a correction of the coarse solver.
#pragma once

#include <memory>
#include <string>

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

  /// Correction tendency for the coarse solver's fields. Of a guarded hybrid it is finite whatever the fields are; else
  /// one that is not is a BlowUp that names its place.
  CellFields operator()(const CellFields& coarse);

  /// Other weights of the same network, for this rank alone: a fault that a test orders.
  void update(const Model& model);

  MPI_Comm comm() const { return solvers_.comm(); }
  bool is_guarded() const { return guard_ != nullptr; }
  /// Share of the cells in which physics alone ran, in the last call: the sum of one less the guard's weight. The same on
  /// every rank, without a message. Zero without a guard.
  double fallback_last() const { return fallback_.last(); }
  /// Of the calls since the tally was `before`. Collective.
  double fallback_since(const FallbackTally& before) const { return fallback_.since(before, comm()).lost; }
  /// "the guard replaces its correction in 40 % of the cells", for that share, and why if the last call was broken.
  std::string fallback_text(double share) const;
  /// For maps and reports.
  FallbackTally& fallback() { return fallback_; }

  /// Share of values so far that the model's bounds cut off.
  double clamped_fraction() const;

 private:
  void say_if_bounds_only() const;
  void say_not_finite(std::int64_t values);

  SolverPair& solvers_;
  std::unique_ptr<Surrogate> surrogate_;
  std::unique_ptr<GraphSurrogate> graph_;  ///< or another program's
  std::vector<float> statics_;
  const SurrogateGuard* guard_ = nullptr;      ///< at work, if any
  std::unique_ptr<SurrogateGuard> graph_guard_;
  FallbackTally fallback_;
  double clamped_ = 0, values_ = 0;
  std::int64_t calls_ = 0, wild_calls_ = 0;  ///< of them, those in which this rank's output was not finite
};

/// The forecasts of the coarse solver with this correction, and the maps of what its guard left out, which is also
/// logged. Collective; returns and throws as Forecast::run_hybrid does.
bool run_hybrid_forecasts(Forecast& forecast, HybridCorrection& correction, bool show_progress);

/// Throws InputError, in one sentence, unless the model is for the deck's grid, interval and variables.
void require_fitting_model(const Deck& deck, const Model& model);

}  // namespace tramontane
