// Speed of the shallow-water core on one rank: cell-stages per second by grid size, and the share of each kernel.
//   bench_shallow_water [n ...]      JSON lines on standard output
#include <mpi.h>

#include <Kokkos_Core.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "physics/cases/williamson2.hpp"
#include "physics/initial_state.hpp"
#include "physics/integrator.hpp"

using namespace tramontane;

namespace {

double cpu(){timespec t;clock_gettime(CLOCK_PROCESS_CPUTIME_ID,&t);return t.tv_sec+1e-9*t.tv_nsec;}
double median_seconds(int repeats, const std::function<void()>& work) {
  std::vector<double> seconds;
  for (int k = 0; k < repeats; ++k) {
    Kokkos::fence();
    const double began = cpu();
    work();
    Kokkos::fence();
    seconds.push_back(cpu() - began);
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

void bench(int n) {
  const AnalyticCase flow = williamson2(0.785);
  auto grid = std::make_shared<const Grid>(Tiling(n, 1, 1), 0);
  ShallowWaterOptions options;
  options.reference = kGravity * flow.reference_height;
  options.rotation = flow.rotation;
  ShallowWater solver(grid, MPI_COMM_WORLD, cell_means(*grid, flow.orography), options);
  const State state = solver.make_state("state"), begin = solver.make_state("begin");
  set_state(solver, flow, state);
  SspRk3 integrator(solver);
  const double dt = 0.5 / solver.largest_rate(state), cells = 6.0 * n * n;
  const int repeats = std::max(5, static_cast<int>(2e7 / cells / 3));
  integrator.step(solver, state, dt);
  const double step = median_seconds(repeats, [&] { integrator.step(solver, state, dt); });
  std::printf("{\"n\": %d, \"cell_stages_per_second\": %.4g, \"nanoseconds_per_cell_stage\": {\"step\": %.2f", n,
              3 * cells / step, step / 3 / cells * 1e9);
  const Region all = solver.regions().rim.front();
  const double share = static_cast<double>(all.tiles()) * all.rows() * all.columns() / cells;
  const std::vector<std::pair<const char*, std::function<void()>>> kernels = {
      {"ghosts", [&] { solver.fill_ghosts(state); }},
      {"edge_fluxes", [&] { solver.edge_fluxes(); }},
      {"edge_update", [&] { solver.edge_update(begin, 0.0); }},
  };
  const std::vector<std::pair<const char*, std::function<void()>>> regional = {
      {"gauss_lines", [&] { solver.gauss_lines<5>(all, state); }},
      {"edge_states", [&] { solver.edge_states<5>(all); }},
      {"alpha_fluxes", [&] { solver.alpha_fluxes<5>(all); }},
      {"beta_fluxes", [&] { solver.beta_fluxes<5>(all); }},
      {"update", [&] { solver.update<5>(all, begin, 0.0, state, 1.0, state, 0.0); }},
  };
  for (const auto& [name, work] : regional)
    std::printf(", \"%s\": %.2f", name, median_seconds(10 * repeats, work) / cells / share * 1e9);
  for (const auto& [name, work] : kernels)
    std::printf(", \"%s\": %.2f", name, median_seconds(3 * repeats, work) / cells * 1e9);
  std::printf("}}\n");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  Kokkos::initialize(argc, argv);
  {
    std::vector<int> sizes;
    for (int k = 1; k < argc; ++k)
      if (const int n = std::atoi(argv[k]); n > 0) sizes.push_back(n);
    if (sizes.empty()) sizes = {48, 96, 192};
    for (int n : sizes) bench(n);
  }
  Kokkos::finalize();
  MPI_Finalize();
}
