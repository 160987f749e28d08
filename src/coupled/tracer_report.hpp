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
  std::map<std::string, double> drift(const ShallowWater& solver, const State& state) const;

 private:
  std::vector<double> start_;
};

}  // namespace tramontane
