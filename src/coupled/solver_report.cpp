#include "src/coupled/solver_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <stdexcept>
#include <tuple>

#include "kernels/precision.hpp"

namespace tramontane {

namespace {
void keep_larger(double& worst, double value) {
  if (!(std::abs(value) <= std::abs(worst))) worst = value;
}
void keep_larger(Budgets& worst, const Budgets& drift) {
  keep_larger(worst.mass, drift.mass);
  keep_larger(worst.energy, drift.energy);
  keep_larger(worst.potential_enstrophy, drift.potential_enstrophy);
  keep_larger(worst.angular_momentum, drift.angular_momentum);
}

// Budgets holds numbers only, so that its numbers in order are all there is to keep of it.
using BudgetNumbers = std::array<double, sizeof(Budgets) / sizeof(double)>;

std::vector<double> numbers_of(const Budgets& budgets) {
  const auto numbers = std::bit_cast<BudgetNumbers>(budgets);
  return {numbers.begin(), numbers.end()};
}

Budgets from_numbers(const std::vector<double>& values) {
  BudgetNumbers numbers{};
  if (values.size() < numbers.size()) throw std::logic_error("another number of budgets");
  std::copy_n(values.begin(), numbers.size(), numbers.begin());
  return std::bit_cast<Budgets>(numbers);
}

std::vector<double> joined(std::vector<double> first, const std::vector<double>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}
}  // namespace

void BudgetWatch::start(Simulation& simulation) {
  start_ = budgets(simulation.solver(), simulation.state());
  tracers_.start(simulation.solver(), simulation.state());
}

std::map<std::string, double> BudgetWatch::tracer_drift(Simulation& simulation) {
  return tracers_.drift(simulation.solver(), simulation.state());
}

Budgets BudgetWatch::drift(Simulation& simulation) {
  const Budgets now = budgets(simulation.solver(), simulation.state());
  const Budgets drift{now.mass / start_.mass - 1, now.energy / start_.energy - 1,
                      now.potential_enstrophy / start_.potential_enstrophy - 1,
                      now.angular_momentum / start_.angular_momentum - 1};
  keep_larger(worst_, drift);
  return drift;
}

// The budgets come first, then the tracers.
std::vector<double> BudgetWatch::start_values() const {
  return joined(numbers_of(start_), tracers_.start_values());
}

std::vector<double> BudgetWatch::worst_values() const {
  return joined(numbers_of(worst_), tracers_.worst_values());
}

void BudgetWatch::restore(const std::vector<double>& start, const std::vector<double>& worst) {
  start_ = from_numbers(start);
  worst_ = from_numbers(worst);
  constexpr std::size_t count = std::tuple_size_v<BudgetNumbers>;
  tracers_.restore({start.begin() + count, start.end()}, {worst.begin() + count, worst.end()});
}

void BudgetWatch::include(const BudgetWatch& other) {
  keep_larger(worst_, other.worst_);
}

namespace {

/// Largest relative drift of a mass that rounding explains. Single precision leaves a random walk of about one distance
/// between numbers in a thousand steps: docs/design/precision.md.
constexpr double kLargestDrift = std::max(1e-10, 40 * kRealEpsilon);

}  // namespace

void check_conservation(const SolverSummary& summary, bool keeps_tracers) {
  if (!(std::abs(summary.mass_drift) <= kLargestDrift))
    throw RunError(
        fmt::format("the solver on C{} lost its mass: relative drift {:.2e}", summary.n, summary.mass_drift));
  for (const auto& [name, drift] : summary.tracer_drift)
    if (keeps_tracers && !(std::abs(drift) <= kLargestDrift))
      throw RunError(
          fmt::format("the solver on C{} lost its tracer {}: drift of its content {:.2e}", summary.n, name, drift));
}

SolverSummary solver_summary(const Simulation& simulation, const BudgetWatch& watch) {
  const SolverEffort& effort = simulation.effort();
  SolverSummary out;
  out.n = simulation.grid().n();
  out.cells = simulation.grid().tiling().cell_count();
  out.steps = effort.steps;
  out.dt_seconds = simulation.largest_step();
  out.seconds = effort.seconds;
  if (effort.seconds > 0) {
    out.cell_updates_per_second = effort.cell_updates / effort.seconds;
    out.sypd = effort.simulated / effort.seconds / 365.0;
  }
  out.mass_drift = watch.worst().mass;
  out.energy_drift = watch.worst().energy;
  out.enstrophy_drift = watch.worst().potential_enstrophy;
  out.angular_momentum_drift = watch.worst().angular_momentum;
  out.tracer_drift = watch.worst_of_tracers();
  return out;
}

}  // namespace tramontane
