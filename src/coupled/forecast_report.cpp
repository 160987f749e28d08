#include "src/coupled/forecast_report.hpp"

#include <spdlog/spdlog.h>

#include <cmath>

#include "kernels/communicator.hpp"
#include "src/output/cf_writer.hpp"
#include "src/output/forecast_writer.hpp"

namespace tramontane {

void write_forecasts(const Deck& deck, const std::string& command, SolverPair& solvers, const Forecast& forecast) {
  const Grid& grid = solvers.coarse().grid();
  const std::vector<CfVariable> fields = {{"h", "m", "fluid depth", ""},
                                          {"u", "m s-1", "eastward velocity", "eastward_wind"},
                                          {"v", "m s-1", "northward velocity", "northward_wind"}};
  ForecastWriter writer(deck.output.dir + "/forecast.nc", solvers.comm(), grid.tiling(), cubed_sphere_cf_grid(grid.n()),
                        forecast.start_names(), forecast.lead_hours(), fields, forecast.systems(),
                        provenance_attributes("Tramontane verified forecasts on the coarse grid; system fine is the "
                                              "coarse-grained fine solver",
                                              command, dump_deck(deck)));
  writer.write_static({"orography", "m", "height of the orography", "surface_altitude"},
                      solvers.coarse().solver().orography());
  if (forecast.has_fallback()) {
    writer.add_field({"fallback_hybrid", "1",
                      "share of the network's correction left out by the guard since the lead before, hybrid: 0 none, "
                      "1 physics alone",
                      ""});
    for (int start = 0; start < static_cast<int>(forecast.start_names().size()); ++start)
      for (int lead = 0; lead < static_cast<int>(forecast.lead_hours().size()); ++lead)
        writer.write_field(start, lead, "fallback_hybrid", forecast.fallback(start, lead));
  }
  for (const std::string& system : forecast.systems())
    for (int start = 0; start < static_cast<int>(forecast.start_names().size()); ++start)
      for (int lead = 0; lead < static_cast<int>(forecast.lead_hours().size()); ++lead) {
        const ForecastFields& f = forecast.at(system, start, lead);
        writer.write(start, lead, system, {{"h", f.depth}, {"u", f.eastward}, {"v", f.northward}});
      }
}

ForecastSummary report_scores(SolverPair& solvers, const Forecast& forecast, MetricsWriter* metrics) {
  const ForecastSummary scores = forecast.scores();
  const std::vector<std::string> starts = forecast.start_names();
  for (std::size_t start = 0; start < starts.size(); ++start) {
    const Scores one = forecast.scores_of_start(static_cast<int>(start));
    if (!metrics) continue;
    nlohmann::ordered_json line = {{"start", starts[start]}, {"lead_hours", forecast.lead_hours()}};
    for (const auto& [field, systems] : one)
      for (const auto& [system, values] : systems) line["rmse"][field][system] = values;
    metrics->write("forecast", line);
  }
  for (std::size_t start = 0; start < starts.size() && forecast.has_fallback(); ++start)
    for (std::size_t lead = 1; lead < forecast.lead_hours().size(); ++lead) {
      const double fraction = forecast.mean_fallback(static_cast<int>(start), static_cast<int>(lead));
      if (metrics)
        metrics->write("fallback", {{"start", starts[start]},
                                    {"lead_hours", forecast.lead_hours()[lead]},
                                    {"fallback_fraction", fraction}});
    }
  if (rank_in(solvers.comm()) == 0)
    for (std::size_t lead = 1; lead < scores.lead_hours.size(); ++lead)
      if (std::fmod(scores.lead_hours[lead], 24.0) == 0)
        for (const auto& [system, h] : scores.rmse.at("h"))
          spdlog::info("rmse after {:3.0f} h, {:<11} h {:8.3f} m, wind {:7.4f} m/s", scores.lead_hours[lead], system,
                       h[lead], scores.rmse.at("wind").at(system)[lead]);
  return scores;
}

}  // namespace tramontane
