/// A solver in motion: state, clock, step choice and the checks that a run makes as it goes.
#pragma once

#include <functional>
#include <memory>

#include "physics/initial_state.hpp"
#include "physics/integrator.hpp"
#include "physics/shallow_water.hpp"
#include "src/coupled/state_watch.hpp"
#include "src/deck/deck.hpp"

namespace tramontane {

/// Counts what the solver did, for rates.
struct SolverEffort {
  long steps = 0;
  double cell_updates = 0;  ///< full steps times cells of the whole sphere
  double seconds = 0;       ///< wall clock in steps
  double simulated = 0;     ///< model seconds
};

/// Equal steps that remain of a stretch of model time.
struct StepPlan {
  double dt = 0;   ///< s
  long steps = 0;  ///< still to take
  double end = 0;  ///< model time at the end of the last one, s
};

/// All of a simulation that its state does not hold: with both, a run continues bit for bit.
struct SimulationProgress {
  double time = 0;          ///< model time, s
  double largest_step = 0;  ///< largest step so far, s
  StepPlan plan;
  SolverEffort effort;
};

class Simulation {
 public:
  /// @param orography on owned tiles of `grid`, m
  Simulation(const Deck& deck, std::shared_ptr<const Grid> grid, MPI_Comm comm, const std::vector<double>& orography,
             double reference_height, Vector3 rotation = {0, 0, kEarthRotation},
             std::vector<TracerOptions> tracers = {});

  ShallowWater& solver() { return *solver_; }
  const ShallowWater& solver() const { return *solver_; }
  const Grid& grid() const { return solver_->grid(); }
  const State& state() const { return state_; }
  double time() const { return progress_.time; }
  /// Largest step taken so far, s.
  double largest_step() const { return progress_.largest_step; }
  const SolverEffort& effort() const { return progress_.effort; }
  const SimulationProgress& progress() const { return progress_; }
  /// Continues from where another simulation stood; its state must be set as well.
  void restore(const SimulationProgress& progress) { progress_ = progress; }

  /// Sets the clock to zero after the state was replaced.
  void restart_clock() {
    progress_.time = 0;
    progress_.plan = {};
  }
  CellFields fields() const { return cell_fields(*solver_, state_); }
  void set_fields(const CellFields& fields) { set_state(*solver_, fields, state_); }

  /// Advances by `seconds`: plan(), step() to the end of the plan, settle().
  void advance(double seconds);

  /// Plans equal steps over the next `seconds`: as few as the Courant number of the present state allows, or of time.dt
  /// at most. The choice depends on a maximum over all cells only, so it is the same on any number of ranks.
  /// Throws RunError naming time and place when the state is no longer finite, and InputError when time.dt is past the
  /// stability limit. Collective.
  void plan(double seconds);
  /// Whether steps of the plan are left.
  bool under_way() const { return progress_.plan.steps > 0; }
  /// Takes one step of the plan, asks `mine` for this rank's flags and starts to check the new state. Returns the flags
  /// that the ranks agreed on at the step before (see StateWatch). Throws RunError when the state before this step was
  /// bad. Collective.
  StepFlags step(const std::function<StepFlags()>& mine = {});
  /// Waits for the check of the present state, throws as step() does, and returns the flags that came with it.
  StepFlags settle() { return watch_.finish(); }

  /// Largest rate of the present state over all cells, s-1: see ShallowWater::largest_rate. Throws as advance() does,
  /// so that a run finds out before it overwrites what an earlier one left. Collective.
  double checked_rate();

 private:
  /// Courant number that the deck asks for, or the integrator's own choice.
  double courant() const {
    return deck_.time.cfl.value_or(integrator_->traits().default_courant.at(grid().order()));
  }
  /// Largest rate over all ranks; throws RunError when the state is not finite.
  double finite_rate();

  const Deck& deck_;
  std::unique_ptr<ShallowWater> solver_;
  State state_;
  std::unique_ptr<TimeIntegrator> integrator_;
  StateWatch watch_;
  SimulationProgress progress_;
};

}  // namespace tramontane
