// Speed of the shallow-water core: time of a step and of each kernel by grid and order of reconstruction, on one rank
// or several, beside the machine's measured limits. JSON lines on standard output; scripts/bench reads them.
//
//   bench_shallow_water --n 48,96,192 --orders 5,7 --machine
//   mpirun -n 2 bench_shallow_water --n 96
#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>

#include "kernels/errors.hpp"
#include "machine_limits.hpp"
#include "measurement.hpp"
#include "physics/cases/williamson2.hpp"
#include "physics/initial_state.hpp"
#include "physics/integrator.hpp"
#include "physics/panel_edges.hpp"
#include "shallow_water_costs.hpp"

namespace tramontane {
namespace {

struct Arguments {
  std::vector<int> sizes = {48, 96, 192}, orders = {5};
  int tiles_per_edge = 1;
  double seconds = 1;
  bool machine = false;
};

void print(const nlohmann::ordered_json& line) {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == 0) std::puts(line.dump().c_str());
  std::fflush(stdout);
}

std::string device_name() {
#ifdef KOKKOS_ENABLE_CUDA
  cudaDeviceProp properties;
  if (cudaGetDeviceProperties(&properties, Kokkos::Cuda().cuda_device()) == cudaSuccess) return properties.name;
#endif
  return "host";
}

/// Time of every kernel within a stage, in the order and with the caches of a real one.
class StageLaps {
 public:
  StageLaps(ShallowWater& solver, const State& state, double dt)
      : solver_(solver),
        state_(state),
        begin_(solver.make_state("begin")),
        out_(solver.make_state("out")),
        edges_(solver.shared_grid(), solver.comm(), solver.levels() * kPrognostic),
        dt_(dt) {
    Kokkos::deep_copy(begin_, state);
  }

  /// The second stage of SSPRK3, whose result goes into an array of its own.
  template <int Order>
  void run() {
    current_.clear();
    Kokkos::fence();
    MPI_Barrier(solver_.comm());
    last_ = {MPI_Wtime(), processor_seconds()};
    solver_.fill_ghosts(state_);
    lap("ghosts");
    for (const Region& region : solver_.regions().all()) {
      solver_.gauss_lines<Order>(region, state_);
      lap("gauss_lines");
      solver_.edge_states<Order>(region);
      lap("edge_states");
      solver_.alpha_fluxes<Order>(region);
      lap("alpha_fluxes");
      solver_.beta_fluxes<Order>(region);
      lap("beta_fluxes");
      solver_.update<Order>(region, out_, 0.75, begin_, 0.25, state_, 0.25 * dt_);
      lap("update");
    }
    edges_.start();
    edges_.finish();
    lap("edge_exchange");
    solver_.edge_fluxes();
    lap("edge_fluxes");
    solver_.edge_update(out_, 0.25 * dt_);
    lap("edge_update");
    int ranks = 1;
    MPI_Comm_size(solver_.comm(), &ranks);
    for (auto& [name, seconds] : current_) {  // the same names in the same order on every rank
      MPI_Allreduce(MPI_IN_PLACE, seconds.data(), 2, MPI_DOUBLE, MPI_SUM, solver_.comm());
      samples_[name].wall.add(seconds[0] / ranks);
      samples_[name].processor.add(seconds[1] / ranks);
    }
  }

  /// Forgets what was measured so far.
  void clear() { samples_.clear(); }
  /// Mean over ranks by kernel, s.
  const std::map<std::string, Timing>& samples() const { return samples_; }

 private:
  void lap(const char* name) {
    Kokkos::fence();
    const std::array<double, 2> now = {MPI_Wtime(), processor_seconds()};
    auto& sum = current_[name];
    for (int k = 0; k < 2; ++k) sum[k] += now[k] - last_[k];
    last_ = now;
  }

  ShallowWater& solver_;
  State state_, begin_, out_;
  PanelEdges edges_;  // the solver's own are its secret; these send as much
  double dt_;
  std::array<double, 2> last_{};  ///< wall clock, processor time
  std::map<std::string, std::array<double, 2>> current_;
  std::map<std::string, Timing> samples_;
};

void bench(const Arguments& a, int n, int order) {
  int rank = 0, ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  const AnalyticCase flow = williamson2(kQuarterPi);
  const auto grid = std::make_shared<const Grid>(Tiling(n, a.tiles_per_edge, ranks), rank, kEarthRadius, order);
  ShallowWaterOptions options;
  options.reference = kGravity * flow.reference_height;
  options.rotation = flow.rotation;
  ShallowWater solver(grid, MPI_COMM_WORLD, cell_means(*grid, flow.orography), options);
  const State state = solver.make_state("state");
  set_state(solver, flow, state);
  double rate = solver.largest_rate(state);
  MPI_Allreduce(MPI_IN_PLACE, &rate, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  const double dt = 0.5 / rate, cells = 6.0 * n * n;

  SspRk3 integrator(solver);
  const Timing step = measure(MPI_COMM_WORLD, a.seconds, [&] { integrator.step(solver, state, dt); });
  StageLaps laps(solver, state, dt);
  const auto stage = [&] { with_order(order, [&](auto built) { laps.run<built()>(); }); };
  stage();
  laps.clear();  // the first touches new memory
  measure(MPI_COMM_WORLD, a.seconds, stage);

  const double second = step.wall.median();
  nlohmann::ordered_json kernels;
  const auto costs = kernel_costs(order, n);
  for (const auto& [name, samples] : laps.samples()) {
    kernels[name]["seconds"] = samples.json();
    kernels[name]["nanoseconds_per_cell_stage"] = samples.wall.median() / cells * ranks * 1e9;
    if (const auto cost = costs.find(name); cost != costs.end()) {
      kernels[name]["operations_per_cell_stage"] = cost->second.operations;
      kernels[name]["bytes_per_cell_stage"] = cost->second.numbers * sizeof(Real);
    }
  }
  double operations = 0;
  for (const auto& [name, cost] : costs) operations += cost.operations;
  print({{"record", "speed"},
         {"n", n},
         {"order", order},
         {"ranks", ranks},
         {"tiles_per_edge", a.tiles_per_edge},
         {"cells", cells},
         {"regions", solver.regions().all().size()},
         {"step", step.json()},
         {"cell_stages_per_second", 3 * cells / second},
         {"cell_updates_per_second", cells / second},
         {"nanoseconds_per_cell_stage", second / 3 / cells * ranks * 1e9},
         {"processor_nanoseconds_per_cell_stage", step.processor.median() / 3 / cells * ranks * 1e9},
         {"operations_per_cell_stage", operations},
         {"memory_bytes_per_cell_stage", memory_numbers(order, n) * sizeof(Real)},
         {"kernels", kernels}});
}

void bench(const Arguments& a) {
  int ranks = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  nlohmann::ordered_json machine = {{"record", "machine"},
                                    {"version", TRAMONTANE_VERSION},
                                    {"back_end", ExecutionSpace::name()},
                                    {"device", device_name()},
                                    {"concurrency_of_a_rank", ExecutionSpace().concurrency()},
                                    {"kokkos", KOKKOS_VERSION},
                                    {"ranks", ranks},
                                    {"bytes_of_a_number", sizeof(Real)}};
  if (a.machine) machine["limits"] = measure_machine_limits(MPI_COMM_WORLD, a.seconds);
  print(machine);
  for (int order : a.orders)
    for (int n : a.sizes) bench(a, n, order);
}

}  // namespace
}  // namespace tramontane

int main(int argc, char** argv) {
  tramontane::Arguments a;
  CLI::App app("Speed of the shallow-water core");
  app.add_option("--n", a.sizes, "cells along a panel edge, comma-separated")->delimiter(',');
  app.add_option("--orders", a.orders, "orders of reconstruction: 3, 5, 7, comma-separated")->delimiter(',');
  app.add_option("--tiles-per-edge", a.tiles_per_edge, "as grid.tiles_per_edge");
  app.add_option("--seconds", a.seconds, "time to spend on each figure");
  app.add_flag("--machine", a.machine, "measure bandwidth and multiply-adds too");
  CLI11_PARSE(app, argc, argv);
  MPI_Init(&argc, &argv);
  int code = 0;
  {
    Kokkos::ScopeGuard kokkos(argc, argv);
    try {
      tramontane::bench(a);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s\n", e.what());
      code = 2;
    }
  }
  if (code) MPI_Abort(MPI_COMM_WORLD, code);
  MPI_Finalize();
}
