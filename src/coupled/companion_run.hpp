/// A coarse solver that runs beside the one of the lessons, with or without a correction, and whose trouble ends
/// nothing but itself.
#pragma once

#include <memory>
#include <string>

#include "src/coupled/hybrid.hpp"

namespace tramontane {

class CompanionRun {
 public:
  CompanionRun(const Deck& deck, SolverPair& solvers);

  /// Begins at these fields on owned coarse tiles.
  void start(const CellFields& fields);
  /// Runs on, with the correction asked for every coupling interval and held over it, or alone (null). Collective.
  /// Returns "", or why it cannot go on: the state is no longer finite, or needs many more steps than at the start
  /// because winds or waves have grown beyond reason. Then it has to be started anew.
  std::string advance(HybridCorrection* correction, double seconds);
  CellFields fields() const { return simulation_->fields(); }

 private:
  std::string advance_interval(double seconds);

  double interval_;
  std::unique_ptr<Simulation> simulation_;
  long first_steps_ = 0;  ///< of the first interval after the start
};

/// Energy of the difference of two states, the norm in which errors of depth and wind add up: the mean over the sphere
/// of (H |u - u'|^2 + g (h - h')^2) / 2, H the mean depth (total energy norm of the linear shallow-water equations).
/// m3 s-2. Collective; the same bits on any ranks.
double error_energy(const Simulation& coarse, double mean_depth, const CellFields& one, const CellFields& other);

}  // namespace tramontane
