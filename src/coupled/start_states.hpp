/// The states that runs start from, made once on one rank and dealt to the others.
#pragma once

#include <mpi.h>

#include <map>
#include <memory>
#include <vector>

#include "physics/initial_state.hpp"
#include "src/deck/deck.hpp"

namespace tramontane {

/// Start states of the case `winds` on the fine grid, by month, and the orography that they all share. The lowest rank
/// of `comm` reads the data and solves the elliptic problems alone, so that the state has the same bits on any number
/// of ranks; the others receive their tiles. Collective over `comm`; an InputError or RunError of that rank reaches
/// all of them.
class WindsStates {
 public:
  WindsStates(const Deck& deck, std::shared_ptr<const Grid> grid, MPI_Comm comm);

  /// Depth and velocity on owned tiles.
  CellFields fields(Month month);
  /// Orography on owned tiles, m; read with the first month asked for.
  const std::vector<double>& orography(Month month);

 private:
  const Deck& deck_;
  std::shared_ptr<const Grid> grid_;
  MPI_Comm comm_;
  std::vector<double> orography_;
  std::map<Month, CellFields> made_;
};

/// The case `rest`: a fluid at rest over a relief.
struct RestingState {
  std::vector<double> orography;  ///< m, on owned tiles
  CellFields fields;
};
/// @param orography on owned tiles, m; @param surface height of the fluid's surface, m
RestingState resting_over(std::vector<double> orography, double surface);
/// Over the real relief, the mean depth initial.mean_depth.
/// Read on the lowest rank and dealt as above. Collective over `comm`.
RestingState resting_over_relief(const Deck& deck, const Grid& grid, MPI_Comm comm);

}  // namespace tramontane
