/// A solver in motion: state, clock, step choice and the checks that a run makes as it goes.
#pragma once

#include <memory>

#include "physics/initial_state.hpp"
#include "physics/integrator.hpp"
#include "physics/shallow_water.hpp"
#include "src/deck/deck.hpp"

namespace tramontane {

/// Counts what the solver did, for rates.
struct SolverEffort {
  long steps = 0;
  double cell_updates = 0;  ///< full steps times cells of the whole sphere
  double seconds = 0;       ///< wall clock in advance()
  double simulated = 0;     ///< model seconds
};

class Simulation {
 public:
  /// @param orography on owned tiles of `grid`, m
  Simulation(const Deck& deck, std::shared_ptr<const Grid> grid, MPI_Comm comm, const std::vector<double>& orography,
             double reference_height, Vector3 rotation = {0, 0, kEarthRotation});

  ShallowWater& solver() { return *solver_; }
  const ShallowWater& solver() const { return *solver_; }
  const Grid& grid() const { return solver_->grid(); }
  const State& state() const { return state_; }
  double time() const { return time_; }
  /// Largest step taken so far, s.
  double largest_step() const { return largest_step_; }
  const SolverEffort& effort() const { return effort_; }

  /// Sets the clock to zero after the state was replaced.
  void restart_clock() { time_ = 0; }
  CellFields fields() const { return cell_fields(*solver_, state_); }
  void set_fields(const CellFields& fields) { set_state(*solver_, fields, state_); }

  /// Advances by `seconds` in equal steps: as few as the Courant number of the state at the start allows, or of
  /// time.dt at most. The choice depends on a maximum over all cells only, so it is the same on any number of ranks.
  /// Checks the state before and after. Throws RunError naming time and place when the state is no longer finite, and
  /// InputError when time.dt is past the stability limit.
  void advance(double seconds);

  /// Largest rate of the present state over all cells, s-1: see ShallowWater::largest_rate. Throws as advance() does,
  /// so that a run finds out before it overwrites what an earlier one left. Collective.
  double checked_rate() const;

 private:
  /// Courant number that the deck asks for, or the integrator's own choice.
  double courant() const { return deck_.time.cfl.value_or(integrator_->traits().default_courant); }
  /// Largest rate over all ranks; throws RunError when the state is not finite.
  double finite_rate() const;
  [[noreturn]] void report_blow_up() const;

  const Deck& deck_;
  std::unique_ptr<ShallowWater> solver_;
  State state_;
  std::unique_ptr<TimeIntegrator> integrator_;
  double time_ = 0, largest_step_ = 0;
  SolverEffort effort_;
};

}  // namespace tramontane
