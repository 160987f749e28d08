/// The fine solver and the coarse one that nests in it, on one set of tiles.
#pragma once

#include <functional>
#include <memory>

#include "physics/coarse_grain.hpp"
#include "src/coupled/simulation.hpp"
#include "src/coupled/start_states.hpp"

namespace tramontane {

/// Both solvers of a run on `winds`, sharing tiles, orography (coarse-grained exactly) and reference height.
class SolverPair {
 public:
  /// Collective over `comm`, the solver ranks. `any_month` is a month whose data can be read.
  SolverPair(const Deck& deck, MPI_Comm comm, Month any_month);

  Simulation& fine() { return *fine_; }
  Simulation& coarse() { return *coarse_; }
  MPI_Comm comm() const { return comm_; }

  /// Puts the fine solver at the start of a month and coarse-grains it.
  void start(Month month);
  /// The fine state on the coarse grid, as a state of the coarse solver that the next call overwrites.
  const State& coarse_grained_state();
  /// The same as the coarse solver's fields.
  CellFields coarse_grained();
  /// Sets the coarse solver to the coarse-grained fine state, exactly.
  void restart_coarse();
  /// One more coarse solver on the same grid and orography, in no state yet. Collective.
  std::unique_ptr<Simulation> another_coarse() const;

 private:
  const Deck& deck_;
  MPI_Comm comm_;
  std::shared_ptr<const Grid> fine_grid_, coarse_grid_;
  WindsStates states_;
  std::vector<double> coarse_orography_;
  std::unique_ptr<Simulation> fine_, coarse_;
  State scratch_;
};

}  // namespace tramontane
