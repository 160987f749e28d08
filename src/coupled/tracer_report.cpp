#include "src/coupled/tracer_report.hpp"

#include <cmath>
#include <stdexcept>

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
  names_.clear();
  start_.clear();
  worst_.clear();
  for (std::size_t t = 0; t < solver.tracers().size(); ++t) {
    names_.push_back(solver.tracers()[t].name);
    start_.push_back(tracer_content(solver, state, static_cast<int>(t)));
    worst_[names_[t]] = 0.0;
  }
}

std::map<std::string, double> TracerWatch::drift(const ShallowWater& solver, const State& state) {
  std::map<std::string, double> out;
  for (std::size_t t = 0; t < start_.size(); ++t) {
    const double change = tracer_content(solver, state, static_cast<int>(t)) - start_[t];
    const double drift = start_[t] == 0.0 ? change : change / start_[t];
    out[names_[t]] = drift;
    double& worst = worst_[names_[t]];
    if (!(std::abs(drift) <= std::abs(worst))) worst = drift;
  }
  return out;
}

std::vector<double> TracerWatch::worst_values() const {
  std::vector<double> out;
  for (const std::string& name : names_) out.push_back(worst_.at(name));
  return out;
}

void TracerWatch::restore(const std::vector<double>& start, const std::vector<double>& worst) {
  if (start.size() != names_.size() || worst.size() != names_.size())
    throw std::logic_error("another number of tracers");
  start_ = start;
  for (std::size_t t = 0; t < names_.size(); ++t) worst_[names_[t]] = worst[t];
}

}  // namespace tramontane
