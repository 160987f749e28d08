#include "src/coupled/simulation.hpp"

#include <fmt/format.h>

#include <cmath>

namespace tramontane {

namespace {

std::unique_ptr<ShallowWater> make_solver(const Deck& deck, std::shared_ptr<const Grid> grid, MPI_Comm comm,
                                          const std::vector<double>& orography, double reference_height,
                                          Vector3 rotation) {
  ShallowWaterOptions options;
  options.reference = options.gravity * reference_height;
  options.rotation = rotation;
  options.deadline_seconds = deck.stream.deadline;
  return std::make_unique<ShallowWater>(std::move(grid), comm, orography, options);
}

IntegratorOptions integrator_options(const HelmholtzDeck& deck) {
  const std::string options = deck.petsc_options == "none" ? "" : deck.petsc_options;
  return {HelmholtzOptions{deck.solver, deck.preconditioner, deck.tolerance, deck.iterations, options}};
}

}  // namespace

Simulation::Simulation(const Deck& deck, std::shared_ptr<const Grid> grid, MPI_Comm comm,
                       const std::vector<double>& orography, double reference_height,
                       Vector3 rotation)
    : deck_(deck),
      solver_(make_solver(deck, std::move(grid), comm, orography, reference_height, rotation)),
      state_(solver_->make_state("state")),
      integrator_(make_integrator(deck.physics.integrator, *solver_, integrator_options(deck.physics.helmholtz))) {}

double Simulation::finite_rate() const {
  double rate = solver_->largest_rate(state_);
  MPI_Allreduce(MPI_IN_PLACE, &rate, 1, MPI_DOUBLE, MPI_MAX, solver_->comm());
  if (!std::isfinite(rate)) report_blow_up();
  return rate;
}

double Simulation::checked_rate() const {
  const double rate = finite_rate();
  const double limit = integrator_->courant_limit();
  if (deck_.time.dt && *deck_.time.dt * rate > limit)
    throw InputError(
        fmt::format("{}time.dt = {:g} s is past the stability limit of {:.4g} s of {} at C{}: lower time.dt, or "
                    "set it to auto",
                    deck_.where("time.dt"), *deck_.time.dt, limit / rate, integrator_->name(), grid().n()));
  if (courant() > limit)
    throw InputError(fmt::format("{}time.cfl = {:g} is past the stability limit of {:g} of {}: lower it, or set it to "
                                 "auto",
                                 deck_.where("time.cfl"), courant(), limit, integrator_->name()));
  return rate;
}

void Simulation::advance(double seconds) {
  const double began = MPI_Wtime();
  const double rate = checked_rate();
  const double limit = deck_.time.dt ? *deck_.time.dt : courant() / rate;
  // A hair of slack, so that seconds / dt that is whole up to round-off does not gain a step.
  const long steps = std::max(1L, static_cast<long>(std::ceil(seconds / limit * (1 - 1e-12))));
  const double dt = seconds / static_cast<double>(steps);
  for (long k = 0; k < steps; ++k) integrator_->step(*solver_, state_, dt);
  time_ += seconds;
  largest_step_ = std::max(largest_step_, dt);
  effort_.steps += steps;
  effort_.simulated += seconds;
  effort_.cell_updates += static_cast<double>(steps) * grid().tiling().cell_count();
  Kokkos::fence();
  effort_.seconds += MPI_Wtime() - began;
  finite_rate();
}

void Simulation::report_blow_up() const {
  // The first bad cell by number over all ranks names the place.
  const CellFields now = fields();
  const Tiling& tiling = grid().tiling();
  long first = tiling.cell_count();
  for (std::size_t k = 0; k < now.depth.size(); ++k) {
    const bool good = std::isfinite(now.depth[k]) && now.depth[k] > 0 && std::isfinite(now.velocity[0][k]) &&
                      std::isfinite(now.velocity[1][k]) && std::isfinite(now.velocity[2][k]);
    if (!good) {
      first = static_cast<long>(grid().first_tile()) * tiling.cells_per_tile() + static_cast<long>(k);
      break;
    }
  }
  const long mine = first;
  MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_LONG, MPI_MIN, solver_->comm());
  double depth = mine == first && first < tiling.cell_count()
                     ? now.depth[mine - static_cast<long>(grid().first_tile()) * tiling.cells_per_tile()]
                     : 0.0;
  MPI_Allreduce(MPI_IN_PLACE, &depth, 1, MPI_DOUBLE, MPI_SUM, solver_->comm());
  if (first >= tiling.cell_count())
    throw RunError(fmt::format("the solver on C{} blew up at {:.2f} h: wave speeds are no longer finite", grid().n(),
                               time_ / 3600));
  const int size = tiling.tile_cells(), tile = static_cast<int>(first / tiling.cells_per_tile()),
            cell = static_cast<int>(first % tiling.cells_per_tile());
  const TilePlace place = tiling.place(tile);
  const PanelCell where{place.panel, place.tj * size + cell / size, place.ti * size + cell % size};
  const LonLat at = to_lonlat(to_cartesian(grid().centre(where)));
  throw RunError(
      fmt::format("the solver on C{} blew up at {:.2f} h: {} at tile {}, cell ({}, {}), {:.1f} E {:.1f} N "
                  "(depth {:.4g} m); lower time.cfl",
                  grid().n(), time_ / 3600, std::isfinite(depth) ? "a depth or velocity out of bounds" : "NaN", tile,
                  cell / size, cell % size, at.longitude * 45 / kQuarterPi, at.latitude * 45 / kQuarterPi, depth));
}

}  // namespace tramontane
