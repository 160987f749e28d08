/// The states that solver runs start from, by the deck's key initial.case, and the solutions that they are held
/// against.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "physics/diagnostics.hpp"
#include "src/coupled/simulation.hpp"

namespace tramontane {

/// A run at its start.
struct InitialRun {
  std::unique_ptr<Simulation> simulation;
  /// Exact cell means on owned tiles at a time (s); empty without an exact solution. Does not depend on the state, so
  /// that it holds for a run that goes on from a checkpoint too.
  std::function<CellFields(double)> exact;
  /// The same for the tracer's mixing ratio; empty without a tracer.
  std::function<std::vector<double>(double)> exact_tracer;
  bool moves = true;  ///< the exact solution has a speed that errors can be normalised by
};

/// The deck's initial case on the grid, ready to run. Collective over comm; throws as reading the case's data does.
InitialRun start_initial_case(const Deck& deck, std::shared_ptr<const Grid> grid, MPI_Comm comm);

/// Analytic case of the deck, tilted as it asks for; for initial.case other than rest and winds.
AnalyticCase analytic_case(const InitialDeck& initial);

/// Magnitude of the velocity, m s-1.
std::vector<double> speed_of(const CellFields& fields);

/// Errors of the simulation's present state against the exact cell means at its time: fields h, speed (where the exact
/// solution moves) and q (where the case has a tracer). Empty without an exact solution.
/// Collective.
std::map<std::string, ErrorNorms> errors_now(const InitialRun& run);

}  // namespace tramontane
