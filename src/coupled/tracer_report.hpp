/// Tracers of a run: their options from the deck, their fields in the output and their budgets.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "physics/shallow_water.hpp"
#include "src/deck/deck.hpp"
#include "src/output/cf_writer.hpp"

namespace tramontane {

/// A tracer with bounds, limited as the deck's key tracer.limiter says.
TracerOptions bounded_tracer(const Deck& deck, const std::string& name, const std::string& units, double lower,
                             double upper);

/// The solver's tracers as variables of a CF file, in order: mixing ratios by name.
std::vector<CfVariable> tracer_variables(const ShallowWater& solver);

/// Adds the mixing ratios of the state's cell means to a record of such a file.
void add_tracers(const ShallowWater& solver, const State& state, std::map<std::string, std::vector<double>>& record);

/// Contents of the tracers against those at a start.
class TracerWatch {
 public:
  /// Takes the contents of the state as the start. Collective.
  void start(const ShallowWater& solver, const State& state);
  /// Change of each content since the start, by name: relative to the start's, or in m3 times the tracer's unit where
  /// that was zero. Collective.
  std::map<std::string, double> drift(const ShallowWater& solver, const State& state);
  /// Of all drifts asked for, the one largest in magnitude, by name.
  const std::map<std::string, double>& worst() const { return worst_; }

  /// The contents at the start and the largest drifts in the solver's order of tracers, for a checkpoint, and back.
  const std::vector<double>& start_values() const { return start_; }
  std::vector<double> worst_values() const;
  void restore(const std::vector<double>& start, const std::vector<double>& worst);

 private:
  std::vector<std::string> names_;
  std::vector<double> start_;
  std::map<std::string, double> worst_;
};

}  // namespace tramontane
