/// What every command that runs a solver reports about it.
#pragma once

#include "physics/diagnostics.hpp"
#include "src/coupled/simulation.hpp"
#include "src/coupled/tracer_report.hpp"
#include "src/output/summary.hpp"

namespace tramontane {

/// Budgets relative to those at a start, and the largest such drifts over all starts so far.
class BudgetWatch {
 public:
  /// Takes the budgets of the simulation's present state as the start of a trajectory. Collective.
  void start(Simulation& simulation);
  /// Drifts since the start. Collective.
  Budgets drift(Simulation& simulation);
  /// Drifts of the tracers' contents since the start, by name: see TracerWatch. Collective.
  std::map<std::string, double> tracer_drift(Simulation& simulation);
  /// Takes another watch's drifts in, except for tracers.
  void include(const BudgetWatch& other);
  /// Of all drifts asked for, the one largest in magnitude, by quantity.
  const Budgets& worst() const { return worst_; }
  const std::map<std::string, double>& worst_of_tracers() const { return tracers_.worst(); }

  /// The budgets at the start and the largest drifts as plain numbers, for a checkpoint, and back.
  std::vector<double> start_values() const;
  std::vector<double> worst_values() const;
  void restore(const std::vector<double>& start, const std::vector<double>& worst);

 private:
  Budgets start_, worst_;
  TracerWatch tracers_;
};

/// Throws RunError unless the solver kept its mass: relative drift at most 1e-10, far above round-off, far below what a
/// flux that differs on the two sides of a face would leave. The same for the tracers' contents where the run keeps
/// them: viscosity moves mass in ways that tracers do not follow (docs/design/tracers.md).
void check_conservation(const SolverSummary& summary, bool keeps_tracers = true);

/// Figures of a simulation's effort for summary.json.
SolverSummary solver_summary(const Simulation& simulation, const BudgetWatch& watch);

}  // namespace tramontane
