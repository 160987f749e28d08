// `tramontane forecast`: verified forecasts with a model that an earlier run left.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>

#include "src/coupled/coupled_run.hpp"
#include "src/coupled/energy_meter.hpp"
#include "src/coupled/forecast_report.hpp"
#include "src/coupled/hybrid.hpp"
#include "src/coupled/learning.hpp"
#include "src/coupled/solver_report.hpp"
#include "src/output/report.hpp"
#include "src/output/run_folder.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

namespace {

/// An export of ours carries the static fields that the network was trained with; a run makes its own.
void require_same_statics(const StaticFields& have, int n) {
  const StaticFields own = surrogate_statics(n);
  const auto close = [](float a, float b) { return std::abs(a - b) <= 1e-5f; };
  if (!std::equal(have.values.begin(), have.values.end(), own.values.begin(), own.values.end(), close) ||
      (!have.axes.empty() && !std::equal(have.axes.begin(), have.axes.end(), own.axes.begin(), own.axes.end(), close)))
    throw InputError("its static fields are not those of this grid: export the model again");
}

/// A model of either format that fits the deck.
OnnxModel load_fitting_model(const Deck& deck) {
  OnnxModel loaded;
  if (is_onnx(*deck.surrogate.model))
    loaded = load_onnx(*deck.surrogate.model);
  else
    loaded.model = Model::load(*deck.surrogate.model);
  Model& model = loaded.model;
  // Static fields of another program's graph are inside it.
  if (loaded.graph) model.statics = surrogate_statics(deck.surrogate.coarse_n).variables;
  try {
    require_fitting_model(deck, model);
    if (loaded.statics) require_same_statics(*loaded.statics, deck.surrogate.coarse_n);
  } catch (const InputError& error) {
    throw InputError("the model file " + *deck.surrogate.model + ": " + error.what());
  }
  return loaded;
}

}  // namespace

int run_forecast(const CommandContext& context) {
  const Deck& deck = context.deck;
  const double began = MPI_Wtime();
  EnergyMeter energy;
  std::unique_ptr<MetricsWriter> metrics;
  OnnxModel loaded;
  collective_guard(context.world, [&] { loaded = load_fitting_model(deck); });
  SolverPair pair(deck, context.world, deck.forecast.starts.front());
  pair.start(deck.forecast.starts.front());
  pair.fine().checked_rate();  // before an earlier run's files are replaced
  collective_guard(context.world, [&] {
    if (!context.is_root()) return;
    write_resolved_deck(deck);
    metrics = std::make_unique<MetricsWriter>(deck.output.dir + "/metrics.jsonl");
  });
  HybridCorrection correction =
      loaded.graph ? HybridCorrection(deck, loaded, pair) : HybridCorrection(deck, loaded.model, pair);
  Forecast forecast(deck, pair);
  const bool whole =
      forecast.run_references(context.is_root()) && run_hybrid_forecasts(forecast, correction, context.is_root());
  if (whole) write_forecasts(deck, "forecast", pair, forecast);

  Summary summary;
  summary.command = "forecast";
  summary.version = TRAMONTANE_VERSION;
  summary.deck = deck.file;
  summary.solver_ranks = context.size;
  if (whole) summary.forecast = report_scores(pair, forecast, metrics.get());
  const double clamped = correction.clamped_fraction();
  if (context.is_root()) spdlog::info("{:.2e} of the corrections met their bounds", clamped);
  summary.solver = solver_summary(pair.fine(), forecast.budget_watch());
  collective_guard(context.world, [&] {
    if (!context.is_root()) return;
    summary.wall_seconds = MPI_Wtime() - began;
    summary.energy = energy.read();
    write_summary(deck.output.dir, summary);
    make_report(deck);
    check_conservation(*summary.solver);
  });
  return whole ? kExitDone : kExitStopped;
}

}  // namespace tramontane
