#include "src/program/estimate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/sample.hpp"
#include "physics/cubed_sphere.hpp"
#include "physics/integrators/time_integrator.hpp"
#include "physics/viscosity.hpp"
#include "src/coupled/initial_cases.hpp"
#include "src/deck/network_spec.hpp"
#include "src/stream/stream_link.hpp"

namespace tramontane {
namespace {

constexpr double kDay = 86400;
// Rates that the estimates rest on, for one core of a current server: seconds that a stage takes for a cell, and
// floating-point operations a second of a network. Measured: docs/design/program.md.
constexpr double kStageSeconds = 2.3e-8, kSeventhOrderSeconds = 0.4e-8, kViscousStageSeconds = 3.5e-8,
                 kTracerStageSeconds = 3e-8;
constexpr double kNetworkFlops = 4e10;
// Memory of a cell in the solver: what every run has, each copy of a variable, and what tracers and viscosity add.
constexpr double kBytesPerCell = 420, kBytesPerValue = 9, kBytesPerTracer = 150, kViscousBytes = 430;
// Wind of the case winds, m s-1, for the length of a step.
constexpr double kWindSpeed = 50;
// What MPI, PETSc, HDF5 and the program itself take on every rank.
constexpr double kBytesPerRank = 8e7;

/// A state as the case begins, for rates: depth and wind at a point of the sphere.
std::function<PointState(Vector3)> start_of(const Deck& deck) {
  if (deck.initial.kind == InitialCase::rest || deck.initial.kind == InitialCase::winds) {
    const double wind = deck.initial.kind == InitialCase::rest ? 0.0 : kWindSpeed;
    return [=, depth = deck.initial.mean_depth](Vector3 r) {
      return PointState{depth, wind * cross(Vector3{0, 0, 1}, r)};
    };
  }
  return [c = analytic_case(deck.initial)](Vector3 r) { return c.state(r, 0.0); };
}

/// What ShallowWater::largest_rate will find at the start, on points of every panel, s-1.
double largest_rate(const Deck& deck, int n) {
  constexpr int points = 24;
  const auto state = start_of(deck);
  const double spacing = kEarthRadius * 2 * kQuarterPi / n;
  const double viscous = integrator_traits(deck.physics.integrator).waves_to_decay(deck.physics.reconstruction) *
                         kViscousEigenvalue * deck.physics.viscosity / (spacing * spacing);
  double largest = 0;
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = 0; j <= points; ++j)
      for (int i = 0; i <= points; ++i) {
        const PanelPoint at{panel, kQuarterPi * (2.0 * i / points - 1), kQuarterPi * (2.0 * j / points - 1)};
        const Metric m = metric_at(std::tan(at.alpha), std::tan(at.beta));
        const PointState s = state(to_cartesian(at));
        const Contravariant u = to_contravariant(s.velocity, at);
        const double waves = std::sqrt(kGravity * s.depth) * (std::sqrt(m.h_aa) + std::sqrt(m.h_bb));
        largest =
            std::max(largest, (std::abs(u.alpha) + std::abs(u.beta) + waves) / spacing + viscous * (m.h_aa + m.h_bb));
      }
  return largest;
}

/// Steps and their Courant number on a grid of n.
struct Step {
  double courant, seconds;
};
Step time_step(const Deck& deck, int n) {
  const double rate = largest_rate(deck, n);
  const double automatic = integrator_traits(deck.physics.integrator).default_courant.at(deck.physics.reconstruction);
  const double seconds = deck.time.dt ? *deck.time.dt : deck.time.cfl.value_or(automatic) / rate;
  return {seconds * rate, seconds};
}

/// Floating-point operations of one sample forward.
double network_operations(const Deck& deck) {
  return build_graph(network_spec(deck, deck.surrogate.coarse_n)).flops_per_sample(deck.surrogate.coarse_n);
}

}  // namespace

double Estimate::wall_seconds() const {
  return std::max(solver_seconds, learner_seconds);
}

Estimate estimate(const Deck& deck, Command command, const RankLayout& layout) {
  Estimate e;
  const bool hybrid = deck.surrogate.kind != SurrogateKind::none;
  const bool coupled = is_coupled(deck, command);
  const int n = deck.grid.n, coarse = deck.surrogate.coarse_n;
  const double cells = 6.0 * n * n, coarse_cells = 6.0 * coarse * coarse;
  const double sample_bytes =
      4.0 * coarse_cells * static_cast<double>(sample_inputs().size() + sample_targets().size());
  const Step step = time_step(deck, n);
  e.time_step = step.seconds;
  e.courant = step.courant;

  double fine_days = 0, coarse_days = 0, inferences = 0, output_steps = 0;
  if (command == Command::run && !coupled) {
    fine_days = deck.time.days;
    output_steps = deck.time.days * kDay / deck.output.every + 1;
  }
  if (coupled) {
    const double teaching =
        deck.teach.days * static_cast<double>(deck.teach_months().size() + deck.teach.validation.size());
    fine_days += teaching;
    e.samples = teaching * kDay / deck.stream.every;
    coarse_days += e.samples * deck.surrogate.interval / kDay;
  }
  if (coupled || command == Command::forecast) {
    const double days = deck.forecast.days * static_cast<double>(deck.forecast.starts.size());
    fine_days += days;
    coarse_days += hybrid ? 2 * days : days;
    if (hybrid) inferences = days * kDay / deck.surrogate.interval;
    output_steps = 3 * days * kDay / deck.output.every;
  }
  e.fine_steps = std::ceil(fine_days * kDay / e.time_step);
  e.coarse_steps = coarse_days > 0 ? std::ceil(coarse_days * kDay / time_step(deck, coarse).seconds) : 0;

  const double solvers = std::max(1, layout.solvers), learners = std::max(1, layout.learners);
  const IntegratorTraits& traits = integrator_traits(deck.physics.integrator);
  const bool viscous = deck.physics.viscosity > 0;
  const int tracers = coupled || command != Command::run ? 0 : tracer_count(deck);
  // The cost of a step counts evaluations of the flow's tendency, a solve of semi_implicit as several.
  const double flow = kStageSeconds + (deck.physics.reconstruction == 7 ? kSeventhOrderSeconds : 0);
  const double step_seconds =
      traits.cost * flow + traits.stages * ((viscous ? kViscousStageSeconds : 0) + tracers * kTracerStageSeconds);
  e.solver_seconds = (e.fine_steps * cells + e.coarse_steps * coarse_cells) * step_seconds / solvers +
                     inferences * network_operations(deck) / kNetworkFlops / solvers;
  const double cell_bytes = kBytesPerCell + kBytesPerValue * (kPrognostic + tracers) * (2 + traits.copies) +
                            tracers * kBytesPerTracer + (viscous ? kViscousBytes : 0);
  const bool has_coarse = coarse_days > 0;
  e.solver_bytes =
      layout.solvers > 0 ? kBytesPerRank + (cells + (has_coarse ? coarse_cells : 0)) * cell_bytes / solvers : 0;
  if (layout.learners > 0) {
    const NetworkGraph graph = build_graph(network_spec(deck, coarse));
    // Samples pass one at a time; weights, gradient, two moments and the average stand beside them.
    const double network_bytes =
        4 * (training_elements(graph, coarse, 1) + 5.0 * static_cast<double>(graph.parameters()));
    // Forward and the two backward passes.
    e.learner_seconds =
        3 * network_operations(deck) * deck.learner.batch * deck.learner.steps / kNetworkFlops / learners;
    // Reservoir, held-out samples and waiting list, or all samples that can come to a learner where these are fewer.
    // An archive's number of samples is not in the deck.
    const double share = coupled ? std::ceil(e.samples / learners) : std::numeric_limits<double>::infinity();
    const double held = std::min<double>(deck.learner.reservoir, share);
    const double held_out = coupled ? e.samples * static_cast<double>(deck.teach.validation.size()) /
                                          static_cast<double>(deck.teach_months().size() + deck.teach.validation.size())
                                    : 0;
    e.reservoir_bytes = (std::min(2 * held + std::min(held_out, share), share) + 1) * sample_bytes;
    if (deck.learner.order == SampleOrder::shuffled)
      e.reservoir_bytes = (deck.learner.read_ahead + deck.learner.batch / learners + held) * sample_bytes;
    if (coupled) {
      e.queue_bytes = deck.stream.queue * sample_bytes / solvers;
      e.receive_bytes = std::min(kStreamCredits, deck.stream.queue) * sample_bytes;
      e.solver_bytes += e.queue_bytes;
    }
    e.learner_bytes = kBytesPerRank + network_bytes + e.reservoir_bytes + e.receive_bytes;
    double inferred = 0;
    for (const int intervals : deck.learner.rollout) {
      const double samples = static_cast<double>(deck.learner.batch) * deck.learner.rollout_steps;
      e.learner_seconds += 3 * network_operations(deck) * samples / kNetworkFlops / learners;
      if (intervals == 1) continue;  // in the archive as it is
      e.rollout_intervals += samples * intervals;
      inferred += samples * (intervals - 1);
    }
    const double coarse_steps_an_interval = std::ceil(deck.surrogate.interval / time_step(deck, coarse).seconds);
    e.rollout_seconds = (e.rollout_intervals * coarse_steps_an_interval * coarse_cells * step_seconds +
                         inferred * network_operations(deck) / kNetworkFlops) /
                        learners;
    e.learner_seconds += e.rollout_seconds;
    if (e.rollout_intervals > 0) e.learner_bytes += coarse_cells * cell_bytes;
  }
  // Fields in double precision on the panels, and in single on the longitude-latitude grid.
  const double latlon = deck.output.latlon > 0 ? 360 / deck.output.latlon * 180 / deck.output.latlon : 0;
  e.output_bytes = output_steps * (coupled || command != Command::run ? 3 : 4 + tracers) *
                   (8 * (coupled ? coarse_cells : cells) + 4 * latlon);
  if (deck.stream.archive) e.output_bytes += e.samples * sample_bytes;
  return e;
}

std::string bytes_text(double bytes) {
  constexpr std::array<const char*, 5> units = {"B", "kB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  while (bytes >= 1000 && unit + 1 < units.size()) {
    bytes /= 1000;
    ++unit;
  }
  return fmt::format("{:.3g} {}", bytes, units[unit]);
}

}  // namespace tramontane
