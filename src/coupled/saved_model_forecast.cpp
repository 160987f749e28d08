// `tramontane forecast`: verified forecasts with a model that an earlier run left.
#include "src/coupled/coupled_run.hpp"
#include "src/coupled/energy_meter.hpp"
#include "src/coupled/forecast_report.hpp"
#include "src/coupled/hybrid.hpp"
#include "src/coupled/solver_report.hpp"
#include "src/output/report.hpp"
#include "src/output/run_folder.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

namespace {

Model load_fitting_model(const Deck& deck) {
  Model model = Model::load(*deck.surrogate.model);
  try {
    require_fitting_model(deck, model);
  } catch (const InputError& error) {
    throw InputError("the model file " + *deck.surrogate.model + ": " + error.what());
  }
  return model;
}

}  // namespace

int run_forecast(const CommandContext& context) {
  const Deck& deck = context.deck;
  const double began = MPI_Wtime();
  EnergyMeter energy;
  std::unique_ptr<MetricsWriter> metrics;
  Model model;
  collective_guard(context.world, [&] { model = load_fitting_model(deck); });
  SolverPair pair(deck, context.world, deck.forecast.starts.front());
  pair.start(deck.forecast.starts.front());
  pair.fine().checked_rate();  // before an earlier run's files are replaced
  collective_guard(context.world, [&] {
    if (!context.is_root()) return;
    write_resolved_deck(deck);
    metrics = std::make_unique<MetricsWriter>(deck.output.dir + "/metrics.jsonl");
  });
  HybridCorrection correction(deck, model, pair);
  Forecast forecast(deck, pair);
  const bool whole =
      forecast.run_references(context.is_root()) &&
      forecast.run_hybrid([&](const CellFields& coarse) { return correction(coarse); }, context.is_root());
  if (whole) write_forecasts(deck, "forecast", pair, forecast);

  Summary summary;
  summary.command = "forecast";
  summary.version = TRAMONTANE_VERSION;
  summary.deck = deck.file;
  summary.solver_ranks = context.size;
  if (whole) summary.forecast = report_scores(pair, forecast, metrics.get());
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
