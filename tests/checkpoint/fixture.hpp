/// A small simulation on any communicator and tiling, and a folder that all ranks share.
#pragma once

#include <gtest/gtest.h>
#include <mpi.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "physics/cases/williamson2.hpp"
#include "src/checkpoint/checkpoint.hpp"

namespace tramontane::testing {

inline int rank_of(MPI_Comm comm = MPI_COMM_WORLD) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  return rank;
}
inline int size_of(MPI_Comm comm = MPI_COMM_WORLD) {
  int size = 1;
  MPI_Comm_size(comm, &size);
  return size;
}

/// The largest over all ranks, which must be the same number everywhere in a test that agrees.
inline int agreed(int mine) {
  int all = 0;
  MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  return all;
}

/// Below the temporary folder, named by rank 0, removed with its owner.
class SharedFolder {
 public:
  SharedFolder() {
    int id = getpid();
    MPI_Bcast(&id, 1, MPI_INT, 0, MPI_COMM_WORLD);
    path_ = std::filesystem::temp_directory_path() / ("tramontane-checkpoint-" + std::to_string(id));
    if (rank_of() == 0) {
      std::filesystem::remove_all(path_);
      std::filesystem::create_directories(path_);
    }
    MPI_Barrier(MPI_COMM_WORLD);
  }
  ~SharedFolder() {
    MPI_Barrier(MPI_COMM_WORLD);
    std::error_code ignored;
    if (rank_of() == 0) std::filesystem::remove_all(path_, ignored);
  }
  SharedFolder(const SharedFolder&) = delete;
  SharedFolder& operator=(const SharedFolder&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline std::string bytes_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline Deck small_deck(const std::string& folder = "") {
  Deck deck;
  deck.grid.n = 12;
  deck.initial.kind = InitialCase::williamson2;
  deck.initial.alpha_deg = 45;
  deck.surrogate.kind = SurrogateKind::none;
  deck.output.dir = folder;
  return deck;
}

/// Williamson 2 at 45 degrees, ready to run.
inline std::unique_ptr<Simulation> make_simulation(const Deck& deck, MPI_Comm comm, int tiles_per_edge) {
  const auto grid = std::make_shared<const Grid>(Tiling(deck.grid.n, tiles_per_edge, size_of(comm)), rank_of(comm));
  const AnalyticCase start = williamson2(deck.initial.alpha_deg * kQuarterPi / 45.0);
  auto simulation = std::make_unique<Simulation>(deck, grid, comm, cell_means(*grid, start.orography),
                                                 start.reference_height, start.rotation);
  set_state(simulation->solver(), start, simulation->state());
  return simulation;
}

/// Everything a checkpoint of the simulation holds, with budgets that stand for any.
inline Checkpoint checkpoint_of(const Deck& deck, const Simulation& simulation) {
  Checkpoint checkpoint = describe(deck, simulation);
  checkpoint.budgets_at_start = {1.0 / 3, 2e30, -3, 7e26};
  checkpoint.largest_drifts = {1e-16, -2e-5, 0.1, 3e-9};
  checkpoint.records = 7;
  checkpoint.latlon_records = 5;
  checkpoint.last_record = 12345.678;
  return checkpoint;
}

/// Interior of a state by variable and cell of the sphere; zero where the rank owns nothing. One level.
inline std::vector<double> global_state(const Simulation& simulation) {
  const State& state = simulation.state();
  const Tiling& tiling = simulation.grid().tiling();
  const auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), state);
  std::vector<double> out(state.extent(2) * tiling.cell_count(), 0.0);
  const int size = tiling.tile_cells();
  for (std::size_t variable = 0; variable < state.extent(2); ++variable)
    for (std::size_t tile = 0; tile < state.extent(0); ++tile) {
      const TilePlace place = tiling.place(simulation.grid().first_tile() + static_cast<int>(tile));
      for (int j = 0; j < size; ++j)
        for (int i = 0; i < size; ++i)
          out[variable * tiling.cell_count() +
              tiling.global_offset({place.panel, place.tj * size + j, place.ti * size + i})] =
              host(tile, 0, variable, j + kHalo, i + kHalo);
    }
  return out;
}

/// The same, every rank's share together on every rank.
inline std::vector<double> whole_state(const Simulation& simulation) {
  std::vector<double> out = global_state(simulation);
  MPI_Allreduce(MPI_IN_PLACE, out.data(), static_cast<int>(out.size()), MPI_DOUBLE, MPI_SUM,
                simulation.solver().comm());
  return out;
}

}  // namespace tramontane::testing
