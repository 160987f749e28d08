#include "src/coupled/start_states.hpp"

#include "physics/data/winds_state.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

namespace {

WindsOptions winds_options(const Deck& deck, Month month) {
  WindsOptions options;
  options.winds_path = deck.data.winds;
  options.relief_path = deck.data.relief;
  options.month = month.text();
  options.layer_factor = deck.initial.layer_factor;
  options.mean_depth = deck.initial.mean_depth;
  options.orography_passes = deck.initial.smoothing;
  return options;
}

}  // namespace

WindsStates::WindsStates(const Deck& deck, std::shared_ptr<const Grid> grid, MPI_Comm comm)
    : deck_(deck), grid_(std::move(grid)), comm_(comm) {}

const std::vector<double>& WindsStates::orography(Month month) {
  if (orography_.empty()) fields(month);
  return orography_;
}

CellFields WindsStates::fields(Month month) {
  if (const auto found = made_.find(month); found != made_.end()) return found->second;
  int rank = 0;
  MPI_Comm_rank(comm_, &rank);
  const std::size_t cells = grid_->tiling().cell_count();
  // Depth, velocity x, y, z, orography.
  std::vector<std::vector<double>> global(5, std::vector<double>(cells));
  collective_guard(comm_, [&] {
    if (rank != 0) return;
    const WindsState made = make_winds_state(winds_options(deck_, month), grid_->n());
    for (std::size_t k = 0; k < cells; ++k) global[0][k] = made.total_height[k] - made.orography[k];
    global[1] = made.velocity[0];
    global[2] = made.velocity[1];
    global[3] = made.velocity[2];
    global[4] = made.orography;
  });
  std::vector<std::vector<double>> mine;
  for (std::vector<double>& field : global) {
    MPI_Bcast(field.data(), static_cast<int>(cells), MPI_DOUBLE, 0, comm_);
    mine.push_back(tiles_from_global(grid_->tiling(), field, grid_->first_tile(), grid_->tile_count()));
  }
  orography_ = mine[4];
  return made_.emplace(month, CellFields{mine[0], {mine[1], mine[2], mine[3]}}).first->second;
}

AnalyticCase analytic_case(const InitialDeck& initial) {
  switch (initial.kind) {
    case InitialCase::williamson2:
      return williamson2(initial.alpha_deg * kQuarterPi / 45.0);
    case InitialCase::rest:
      return resting(initial.mean_depth, williamson5_mountain);
    default:
      throw InputError(std::string("initial.case '") + name_of(initial.kind) + "' has no analytic state");
  }
}

}  // namespace tramontane
