/// What the verified forecasts leave behind: forecast.nc, metrics lines and the summary's forecast group.
#pragma once

#include "src/coupled/forecast.hpp"
#include "src/output/metrics.hpp"

namespace tramontane {

/// Writes <output.dir>/forecast.nc. Collective over the solver ranks.
void write_forecasts(const Deck& deck, const std::string& command, SolverPair& solvers, const Forecast& forecast);

/// Scores, one metrics line a start and, guarded, one a lead, and a table in the log. Collective over the solver ranks; `metrics` on the first.
ForecastSummary report_scores(SolverPair& solvers, const Forecast& forecast, MetricsWriter* metrics);

}  // namespace tramontane
