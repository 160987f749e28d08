#include "src/coupled/start_states.hpp"

#include "kernels/communicator.hpp"
#include "physics/data/gridded_file.hpp"
#include "physics/data/orography.hpp"
#include "physics/data/winds_state.hpp"
#include "physics/elliptic/sphere_derivatives.hpp"
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
  const int rank = rank_in(comm_);
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

RestingState resting_over(std::vector<double> orography, double surface) {
  RestingState out;
  out.orography = std::move(orography);
  for (double height : out.orography) out.fields.depth.push_back(surface - height);
  for (auto& component : out.fields.velocity) component.assign(out.orography.size(), 0.0);
  return out;
}

RestingState resting_over_relief(const Deck& deck, const Grid& grid, MPI_Comm comm) {
  const int rank = rank_in(comm);
  const std::size_t cells = grid.tiling().cell_count();
  std::vector<double> orography(cells);
  double surface = 0;
  collective_guard(comm, [&] {
    if (rank != 0) return;
    const GriddedFile file(deck.data.relief);
    orography = make_orography(file.read(WindsOptions().relief), grid.n(), deck.initial.smoothing);
    surface = deck.initial.mean_depth + area_mean(orography, grid.n());
  });
  MPI_Bcast(orography.data(), static_cast<int>(cells), MPI_DOUBLE, 0, comm);
  MPI_Bcast(&surface, 1, MPI_DOUBLE, 0, comm);
  return resting_over(tiles_from_global(grid.tiling(), orography, grid.first_tile(), grid.tile_count()), surface);
}

}  // namespace tramontane
