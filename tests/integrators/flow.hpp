/// A lively flow for the tests of the integrators: tilted jet over a hill on all panels, not steady.
#pragma once

#include <cmath>
#include <vector>

#include "physics/cases/rest.hpp"
#include "physics/cases/williamson2.hpp"
#include "physics/cases/williamson5.hpp"
#include "physics/diagnostics.hpp"
#include "physics/integrator.hpp"

namespace tramontane::testing {

struct Flow {
  std::shared_ptr<Grid> grid;
  std::unique_ptr<ShallowWater> solver;
  State state;

  Flow(int n, int tiles, MPI_Comm comm) {
    int rank = 0, ranks = 1;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    grid = std::make_shared<Grid>(Tiling(n, tiles, ranks), rank);
    AnalyticCase c = williamson2(0.6);
    c.orography = [](Vector3 r) {
      return 400.0 * std::exp(-8.0 * dot(r - Vector3{0.6, 0.6, 0.5}, r - Vector3{0.6, 0.6, 0.5}));
    };
    c.state = [flow = c.state, hill = c.orography](Vector3 r, double) {
      PointState s = flow(r, 0.0);
      s.depth -= hill(r);
      return s;
    };
    ShallowWaterOptions options;
    options.reference = kGravity * c.reference_height;
    options.rotation = c.rotation;
    options.deadline_seconds = 60;
    solver = std::make_unique<ShallowWater>(grid, comm, cell_means(*grid, c.orography), options);
    state = solver->make_state("state");
    set_state(*solver, c, state);
  }

  void run(TimeIntegrator& integrator, int steps, double seconds) {
    for (int k = 0; k < steps; ++k) integrator.step(*solver, state, seconds / steps);
  }

  /// Prognostic variables of this rank's interior cells.
  std::vector<double> interior() const {
    auto host = Kokkos::create_mirror_view_and_copy(HostSpace(), state);
    std::vector<double> out;
    const int size = grid->tile_cells();
    for (int tile = 0; tile < grid->tile_count(); ++tile)
      for (int v = 0; v < kPrognostic; ++v)
        for (int j = 0; j < size; ++j)
          for (int i = 0; i < size; ++i) out.push_back(host(tile, 0, v, j + kHalo, i + kHalo));
    return out;
  }
};

}  // namespace tramontane::testing
