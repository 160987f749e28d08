#include "src/coupled/simulation.hpp"

#include <fmt/format.h>

#include <cmath>

#include "kernels/fault_injection.hpp"
#include "kernels/wait_scope.hpp"

namespace tramontane {

namespace {

std::unique_ptr<ShallowWater> make_solver(const Deck& deck, std::shared_ptr<const Grid> grid, MPI_Comm comm,
                                          const std::vector<double>& orography, double reference_height,
                                          Vector3 rotation, std::vector<TracerOptions> tracers) {
  ShallowWaterOptions options;
  options.reference = options.gravity * reference_height;
  options.rotation = rotation;
  options.viscosity = deck.physics.viscosity;
  options.tracers = std::move(tracers);
  options.deadline_seconds = deck.stream.deadline;
  return std::make_unique<ShallowWater>(std::move(grid), comm, orography, options);
}

/// Puts what a test ordered into the middle of this rank's first tile.
void spoil(State& state, int tile_cells, float value) {
  const int middle = kHalo + tile_cells / 2;
  Kokkos::deep_copy(Kokkos::subview(state, 0, 0, 0, middle, middle), value);
}

IntegratorOptions integrator_options(const HelmholtzDeck& deck) {
  const std::string options = deck.petsc_options == "none" ? "" : deck.petsc_options;
  return {HelmholtzOptions{deck.solver, deck.preconditioner, deck.tolerance, deck.iterations, options}};
}

}  // namespace

Simulation::Simulation(const Deck& deck, std::shared_ptr<const Grid> grid, MPI_Comm comm,
                       const std::vector<double>& orography, double reference_height, Vector3 rotation,
                       std::vector<TracerOptions> tracers)
    : deck_(deck),
      solver_(make_solver(deck, std::move(grid), comm, orography, reference_height, rotation, std::move(tracers))),
      state_(solver_->make_state("state")),
      integrator_(make_integrator(deck.physics.integrator, *solver_, integrator_options(deck.physics.helmholtz))),
      watch_(*solver_, deck.stream.deadline) {}

double Simulation::finite_rate() {
  double rate = solver_->largest_rate(state_, integrator_->traits().waves_to_decay(grid().order()));
  MPI_Allreduce(MPI_IN_PLACE, &rate, 1, MPI_DOUBLE, MPI_MAX, solver_->comm());
  if (!std::isfinite(rate)) {
    // The watch names the place.
    watch_.finish();
    watch_.start(state_, progress_.time, {});
    watch_.finish();
    throw BlowUp(
        fmt::format("the solver on C{} blew up at {:.4f} h: wave speeds are no longer finite; lower time.cfl",
                    grid().n(), progress_.time / 3600));
  }
  return rate;
}

double Simulation::checked_rate() {
  const double rate = finite_rate();
  const double limit = integrator_->traits().courant_limit.at(grid().order());
  if (deck_.time.dt && *deck_.time.dt * rate > limit)
    throw InputError(
        fmt::format("{}time.dt = {:g} s is past the stability limit of {:.4g} s of {} at C{}: lower time.dt, or "
                    "set it to auto",
                    deck_.where("time.dt"), *deck_.time.dt, limit / rate, integrator_->name(), grid().n()));
  return rate;
}

void Simulation::plan(double seconds) {
  const double rate = checked_rate();
  const double limit = deck_.time.dt ? *deck_.time.dt : courant() / rate;
  StepPlan& plan = progress_.plan;
  // A hair of slack, so that seconds / dt that is whole up to round-off does not gain a step.
  plan.steps = std::max(1L, static_cast<long>(std::ceil(seconds / limit * (1 - 1e-12))));
  plan.dt = seconds / static_cast<double>(plan.steps);
  plan.end = progress_.time + seconds;
}

StepFlags Simulation::step(const std::function<StepFlags()>& mine) {
  const double began = MPI_Wtime();
  StepPlan& plan = progress_.plan;
  integrator_->step(*solver_, state_, plan.dt);
  --plan.steps;
  progress_.time = plan.steps > 0 ? plan.end - static_cast<double>(plan.steps) * plan.dt : plan.end;
  progress_.largest_step = std::max(progress_.largest_step, plan.dt);
  SolverEffort& effort = progress_.effort;
  ++effort.steps;
  sign_of_life("step", effort.steps);
  effort.simulated += plan.dt;
  effort.cell_updates += grid().tiling().cell_count();
  if (const auto wild = wild_value(fault_at("state"))) spoil(state_, grid().tile_cells(), *wild);
  const StepFlags agreed = watch_.finish();
  watch_.start(state_, progress_.time, mine ? mine() : StepFlags{});
  effort.seconds += MPI_Wtime() - began;
  return agreed;
}

void Simulation::advance(double seconds) {
  plan(seconds);
  while (under_way()) step();
  settle();
}

}  // namespace tramontane
