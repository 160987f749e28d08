#include "src/program/estimate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "kernels/sample.hpp"
#include "physics/cubed_sphere.hpp"
#include "physics/integrators/time_integrator.hpp"

namespace tramontane {
namespace {

constexpr double kDay = 86400;
// Rates that the estimates rest on, for one core of a current server: cell stages a second of the solver, and
// floating-point operations a second of a network.
constexpr double kCellStagesPerSecond = 1.5e7;
constexpr double kNetworkFlops = 4e10;
// Memory of one cell in the solver: three fields, their stages and fluxes, and the geometry, in double precision.
constexpr double kBytesPerCell = 600;
// What MPI, PETSc, HDF5 and the program itself take on every rank.
constexpr double kBytesPerRank = 150e6;

/// Time step from the Courant number: fastest signal over the smallest cell of the equiangular grid.
double time_step(const Deck& deck, int n) {
  if (deck.time.dt) return *deck.time.dt * deck.grid.n / n;
  const double width = kEarthRadius * std::numbers::pi / 2 / n;
  const double smallest = width * std::sqrt(2.0) / 2;  // cells at the corners of a panel
  const double signal = std::sqrt(kGravity * deck.initial.mean_depth) + 80;
  return deck.time.cfl.value_or(
             integrator_traits(deck.physics.integrator).default_courant.at(deck.physics.reconstruction)) *
         smallest / signal;
}

/// Weights of a U-Net with two 3 x 3 convolutions a level down and up.
double network_weights(const NetworkDeck& network) {
  double weights = 0;
  for (int level = 0; level < network.levels; ++level) {
    const double channels = network.width * std::pow(2.0, level);
    weights += 9 * channels * channels * (level + 1 < network.levels ? 5.5 : 1.5);
  }
  return weights;
}

/// Multiply-adds of one sample forward: every level costs about as much as the first.
double network_operations(const Deck& deck) {
  const double cells = 6.0 * deck.surrogate.coarse_n * deck.surrogate.coarse_n;
  return 2 * cells * 9 * deck.surrogate.network.width * deck.surrogate.network.width * 5.5 *
         deck.surrogate.network.levels;
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
  e.time_step = time_step(deck, n);

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
  e.coarse_steps = std::ceil(coarse_days * kDay / time_step(deck, coarse));

  const double solvers = std::max(1, layout.solvers), learners = std::max(1, layout.learners);
  const double stages = integrator_traits(deck.physics.integrator).cost;
  e.solver_seconds = (e.fine_steps * cells + e.coarse_steps * coarse_cells) * stages / kCellStagesPerSecond / solvers +
                     inferences * network_operations(deck) / kNetworkFlops / solvers;
  e.solver_bytes = layout.solvers > 0 ? kBytesPerRank + (cells + coarse_cells) * kBytesPerCell / solvers : 0;
  if (layout.learners > 0) {
    const double activations =
        8.0 * 4 * coarse_cells * deck.surrogate.network.width * 2 * deck.learner.batch / learners;
    // Forward and the two backward passes.
    e.learner_seconds =
        3 * network_operations(deck) * deck.learner.batch * deck.learner.steps / kNetworkFlops / learners;
    e.learner_bytes = kBytesPerRank + network_weights(deck.surrogate.network) * 4 * 5 + activations +
                      deck.learner.reservoir / learners * sample_bytes;
  }
  // Three fields in double precision on the panels, and in single on the longitude-latitude grid.
  const double latlon = deck.output.latlon > 0 ? 360 / deck.output.latlon * 180 / deck.output.latlon : 0;
  e.output_bytes = output_steps * 3 * (8 * (coupled ? coarse_cells : cells) + 4 * latlon);
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
