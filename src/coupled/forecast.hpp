/// Verified forecasts: the fine solver, the coarse one, persistence and the hybrid from the same starts.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "src/coupled/solver_pair.hpp"
#include "src/coupled/solver_report.hpp"
#include "src/output/summary.hpp"

namespace tramontane {

/// A correction tendency (depth in m s-1, Cartesian velocity in m s-2) for the coarse solver's fields, on owned tiles.
using Correction = std::function<CellFields(const CellFields& coarse)>;

/// One system's fields at one lead time, owned coarse tiles: what is written and scored.
struct ForecastFields {
  std::vector<double> depth, eastward, northward;  ///< m, m s-1
};

/// Runs the systems and keeps their fields on the coarse grid. "fine" is the fine solver, coarse-grained: the truth.
class Forecast {
 public:
  Forecast(const Deck& deck, SolverPair& solvers);

  const std::vector<double>& lead_hours() const { return lead_hours_; }
  std::vector<std::string> start_names() const;

  /// Fine and coarse solver and persistence from every start. Collective over the solver ranks. Returns false when a
  /// signal asked to stop before all was done: there is nothing to score then. So does run_hybrid.
  /// `between` is called after every lead; when it says yes, that counts as such a signal.
  bool run_references(bool show_progress, const std::function<bool()>& between = {});
  /// The coarse solver with a correction, asked for every coupling interval and held over it. `take_fallback` tells for
  /// the owned cells which share of the correction was left out since it was last asked, for the maps; empty: unguarded.
  bool run_hybrid(const Correction& correction, bool show_progress,
                  const std::function<std::vector<double>()>& take_fallback = {});

  /// The hybrid without a correction: the coarse solver's own forecasts. Needs no run.
  void hybrid_is_coarse();

  /// Fields of a system ("fine", "coarse", "hybrid", "persistence") by start and lead.
  const ForecastFields& at(const std::string& system, int start, int lead) const;
  std::vector<std::string> systems() const;
  /// Whether run_hybrid was guarded.
  bool has_fallback() const { return !fallback_.empty(); }
  /// Share of the correction that was left out between the lead before and this one, on owned cells; zero at lead 0.
  const std::vector<double>& fallback(int start, int lead) const { return fallback_[start][lead]; }
  /// Its mean over the sphere's cells. Collective.
  double mean_fallback(int start, int lead) const;

  /// Scores against "fine" over all starts: rmse and acc of h, u, v and the wind vector by system and lead, and the
  /// wall time of the hybrid over the fine solver's. Anomalies for acc are taken from the mean of "fine" over all
  /// starts and leads. Collective; the same on every rank.
  ForecastSummary scores() const;
  /// rmse of one start alone.
  Scores scores_of_start(int start) const;
  /// Budgets of the fine solver over its forecasts.
  const BudgetWatch& budget_watch() const { return watch_; }

 private:
  ForecastFields current(Simulation& simulation, const CellFields& fields) const;
  Scores rmse(const std::vector<int>& starts) const;
  Scores anomaly_correlation() const;

  const Deck& deck_;
  SolverPair& solvers_;
  std::vector<double> lead_hours_;
  std::map<std::string, std::vector<std::vector<ForecastFields>>> fields_;  ///< [system][start][lead]
  std::vector<std::vector<std::vector<double>>> fallback_;  ///< [start][lead], owned coarse cells; empty: unguarded
  double fine_seconds_ = 0, hybrid_seconds_ = 0;
  BudgetWatch watch_;
};

}  // namespace tramontane
