#include "src/coupled/solver_pair.hpp"

namespace tramontane {

namespace {
std::shared_ptr<const Grid> make_grid(const Deck& deck, MPI_Comm comm, int n) {
  int rank = 0, ranks = 1;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &ranks);
  return std::make_shared<const Grid>(Tiling(n, deck.grid.tiles_per_edge, ranks), rank, kEarthRadius,
                                      deck.physics.reconstruction);
}
}  // namespace

SolverPair::SolverPair(const Deck& deck, MPI_Comm comm, Month any_month)
    : deck_(deck),
      comm_(comm),
      fine_grid_(make_grid(deck, comm, deck.grid.n)),
      coarse_grid_(make_grid(deck, comm, deck.surrogate.coarse_n)),
      states_(deck, fine_grid_, comm) {
  const std::vector<double>& orography = states_.orography(any_month);
  fine_ = std::make_unique<Simulation>(deck, fine_grid_, comm, orography, deck.initial.mean_depth);
  coarse_orography_ = coarse_grain_orography(*fine_grid_, *coarse_grid_, orography);
  coarse_ = another_coarse();
  scratch_ = coarse_->solver().make_state("coarse-grained state");
}

void SolverPair::start(Month month) {
  fine_->set_fields(states_.fields(month));
  fine_->restart_clock();
  restart_coarse();
  coarse_->restart_clock();
}

const State& SolverPair::coarse_grained_state() {
  coarse_grain_state(fine_->solver(), fine_->state(), coarse_->solver(), scratch_);
  return scratch_;
}

CellFields SolverPair::coarse_grained() {
  return cell_fields(coarse_->solver(), coarse_grained_state());
}

std::unique_ptr<Simulation> SolverPair::another_coarse() const {
  return std::make_unique<Simulation>(deck_, coarse_grid_, comm_, coarse_orography_, deck_.initial.mean_depth);
}

void SolverPair::restart_coarse() {
  coarse_grain_state(fine_->solver(), fine_->state(), coarse_->solver(), coarse_->state());
}

}  // namespace tramontane
