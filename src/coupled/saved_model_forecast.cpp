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

int run_forecast(const CommandContext& context) {
  const Deck& deck = context.deck;
  const double began = MPI_Wtime();
  EnergyMeter energy;
  if (!deck.surrogate.model)
    throw InputError(
        "surrogate.model is none: name the model file that a run or train left, for example "
        "--set surrogate.model=runs/quickstart/model.h5");
  std::unique_ptr<MetricsWriter> metrics;
  Model model;
  collective_guard(context.world, [&] {
    model = Model::load(*deck.surrogate.model);
    require_fitting_model(deck, model);
    if (!context.is_root()) return;
    write_resolved_deck(deck);
    metrics = std::make_unique<MetricsWriter>(deck.output.dir + "/metrics.jsonl");
  });
  SolverPair pair(deck, context.world, deck.forecast.starts.front());
  HybridCorrection correction(deck, model, pair);
  Forecast forecast(deck, pair);
  forecast.run_references(context.is_root());
  forecast.run_hybrid([&](const CellFields& coarse) { return correction(coarse); }, context.is_root());
  write_forecasts(deck, "forecast", pair, forecast);

  Summary summary;
  summary.command = "forecast";
  summary.version = TRAMONTANE_VERSION;
  summary.deck = deck.file;
  summary.solver_ranks = context.size;
  summary.forecast = report_scores(pair, forecast, metrics.get());
  summary.solver = solver_summary(pair.fine(), forecast.fine_budgets());
  collective_guard(context.world, [&] {
    if (!context.is_root()) return;
    summary.wall_seconds = MPI_Wtime() - began;
    summary.energy = energy.read();
    write_summary(deck.output.dir, summary);
    make_report(deck);
  });
  return kExitDone;
}

}  // namespace tramontane
