#include "src/coupled/companion_run.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "physics/diagnostics.hpp"

namespace tramontane {

namespace {
/// Steps an interval may need over those of the first: the Courant number then stands for winds of some thousand m/s,
/// and the run would take for ever to blow up.
constexpr long kMostSteps = 4;
}  // namespace

CompanionRun::CompanionRun(const Deck& deck, SolverPair& solvers)
    : interval_(deck.surrogate.interval), simulation_(solvers.another_coarse()) {}

void CompanionRun::start(const CellFields& fields) {
  simulation_->set_fields(fields);
  simulation_->restart_clock();
  first_steps_ = 0;
}

std::string CompanionRun::advance(HybridCorrection* correction, double seconds) {
  ShallowWater& solver = simulation_->solver();
  for (double done = 0; done < seconds - 1e-6; done += interval_) {
    try {
      if (correction)
        solver.set_forcing(correction_forcing(solver, simulation_->state(), (*correction)(simulation_->fields())));
    } catch (const BlowUp& error) {
      return error.what();
    }
    const std::string why = advance_interval(std::min(interval_, seconds - done));
    solver.set_forcing({});
    if (!why.empty()) return why;
  }
  return "";
}

std::string CompanionRun::advance_interval(double seconds) {
  try {
    simulation_->plan(seconds);
    const long steps = simulation_->progress().plan.steps;
    if (first_steps_ == 0) first_steps_ = steps;
    if (steps > kMostSteps * first_steps_)
      return fmt::format("at {:.1f} h it needs {} steps where it needed {} at first: its winds have grown beyond reason",
                         simulation_->time() / 3600, steps, first_steps_);
    while (simulation_->under_way()) simulation_->step();
    simulation_->settle();
    return "";
  } catch (const BlowUp& error) {
    return error.what();
  } catch (const InputError& error) {  // time.dt has become too long for its winds
    return error.what();
  }
}

double error_energy(const Simulation& coarse, double mean_depth, const CellFields& one, const CellFields& other) {
  const Grid& grid = coarse.grid();
  const double gravity = coarse.solver().gravity();
  const int size = grid.tile_cells();
  std::vector<double> per_tile(static_cast<std::size_t>(grid.tile_count()) * 2, 0.0);
  std::size_t k = 0;
  for (int tile = 0; tile < grid.tile_count(); ++tile) {
    const TilePlace place = grid.tiling().place(grid.first_tile() + tile);
    double* sums = &per_tile[static_cast<std::size_t>(tile) * 2];
    for (int j = 0; j < size; ++j)
      for (int i = 0; i < size; ++i, ++k) {
        const double area = grid.cell_area(place.tj * size + j, place.ti * size + i);
        const double depth = one.depth[k] - other.depth[k];
        double wind_squared = 0;
        for (int c = 0; c < 3; ++c) {
          const double difference = one.velocity[c][k] - other.velocity[c][k];
          wind_squared += difference * difference;
        }
        sums[0] += area * 0.5 * (mean_depth * wind_squared + gravity * depth * depth);
        sums[1] += area;
      }
  }
  const std::vector<double> sums = sum_over_tiles(grid.tiling(), coarse.solver().comm(), per_tile, 2);
  return sums[0] / sums[1];
}

}  // namespace tramontane
