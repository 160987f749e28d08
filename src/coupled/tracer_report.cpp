#include "src/coupled/tracer_report.hpp"

#include "physics/tracer_state.hpp"

namespace tramontane {

TracerOptions bounded_tracer(const Deck& deck, const std::string& name, const std::string& units, double lower,
                             double upper) {
  return {name, units, deck.tracer.limiter, lower, upper};
}

std::vector<CfVariable> tracer_variables(const ShallowWater& solver) {
  std::vector<CfVariable> out;
  for (const TracerOptions& tracer : solver.tracers())
    out.push_back({tracer.name, tracer.units, "mixing ratio of tracer " + tracer.name, ""});
  return out;
}

void add_tracers(const ShallowWater& solver, const State& state, std::map<std::string, std::vector<double>>& record) {
  for (std::size_t t = 0; t < solver.tracers().size(); ++t)
    record[solver.tracers()[t].name] = tracer_means(solver, state, static_cast<int>(t));
}

void TracerWatch::start(const ShallowWater& solver, const State& state) {
  start_.clear();
  for (std::size_t t = 0; t < solver.tracers().size(); ++t)
    start_.push_back(tracer_content(solver, state, static_cast<int>(t)));
}

std::map<std::string, double> TracerWatch::drift(const ShallowWater& solver, const State& state) const {
  std::map<std::string, double> out;
  for (std::size_t t = 0; t < start_.size(); ++t) {
    const double change = tracer_content(solver, state, static_cast<int>(t)) - start_[t];
    out[solver.tracers()[t].name] = start_[t] == 0.0 ? change : change / start_[t];
  }
  return out;
}

}  // namespace tramontane
