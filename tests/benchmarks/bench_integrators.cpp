// Error against wall time of the time integrators. Runs one case on one grid with several integrators and Courant
// numbers and prints a JSON line for each: wall time, steps, and normalised errors (Williamson et al. 1992, eqs. 82-84)
// of depth and vorticity against a reference run, which takes small steps with SSPRK3 on the same grid (what is left is
// the error of the time step) or on a finer one (the whole error).
//
//   bench_integrators --case williamson5 --n 48 --days 5 --runs ssprk3:0.8,ssprk3:2,semi_implicit:8.4
#include <mpi.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "physics/cases/galewsky.hpp"
#include "physics/cases/williamson2.hpp"
#include "physics/cases/williamson5.hpp"
#include "physics/coarse_grain.hpp"
#include "physics/data/winds_state.hpp"
#include "physics/diagnostics.hpp"
#include "physics/elliptic/petsc_session.hpp"
#include "physics/integrator.hpp"
#include "physics/integrators/semi_implicit.hpp"

namespace tramontane {
namespace {

struct Arguments {
  std::string kind = "williamson2", month = "1991-01";
  int n = 24, reference_n = 0;
  double days = 5, reference_cfl = 0.2;
  std::vector<std::string> runs = {"ssprk3:0.8"};  ///< integrator:Courant number
  IntegratorOptions options;
};

/// A case on one grid.
struct Flow {
  std::shared_ptr<Grid> grid;
  std::unique_ptr<ShallowWater> solver;
  State state;
  double rate = 0;

  Flow(const Arguments& a, int n) {
    int rank = 0, ranks = 1;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    grid = std::make_shared<Grid>(Tiling(n, 1, ranks), rank);
    ShallowWaterOptions options;
    if (a.kind == "winds") {
      WindsOptions data;
      data.month = a.month;
      const WindsState start = make_winds_state(data, n);
      options.reference = kGravity * data.mean_depth;
      const auto tiles = [&](const std::vector<double>& field) {
        return tiles_from_global(grid->tiling(), field, grid->first_tile(), grid->tile_count());
      };
      std::vector<double> depth(start.total_height);
      for (std::size_t k = 0; k < depth.size(); ++k) depth[k] -= start.orography[k];
      solver = std::make_unique<ShallowWater>(grid, MPI_COMM_WORLD, tiles(start.orography), options);
      state = solver->make_state("state");
      set_state(
          *solver,
          CellFields{tiles(depth), {tiles(start.velocity[0]), tiles(start.velocity[1]), tiles(start.velocity[2])}},
          state);
    } else {
      const AnalyticCase c = a.kind == "williamson2"   ? williamson2(kQuarterPi)
                             : a.kind == "williamson5" ? williamson5()
                             : a.kind == "galewsky"    ? galewsky(true)
                                                       : throw InputError("there is no case '" + a.kind + "'");
      options.reference = kGravity * c.reference_height;
      options.rotation = c.rotation;
      solver = std::make_unique<ShallowWater>(grid, MPI_COMM_WORLD, cell_means(*grid, c.orography), options);
      state = solver->make_state("state");
      set_state(*solver, c, state);
    }
    rate = solver->largest_rate(state);
    MPI_Allreduce(MPI_IN_PLACE, &rate, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  }
};

/// What a run left: fields at the end, and what they cost.
struct Outcome {
  std::vector<double> depth, vorticity;
  double seconds = 0, cpu_seconds = 0, dt = 0, mass_drift = 0;
  int steps = 0;
  long iterations = 0;
  bool finite = false;
};

Outcome fields_of(Flow& flow, Outcome out) {
  out.depth = cell_fields(*flow.solver, flow.state).depth;
  out.vorticity = relative_vorticity(*flow.solver, flow.state);
  return out;
}

Outcome run(Flow& flow, const State& start, const std::string& name, double cfl, double days,
            const IntegratorOptions& options = {}) {
  Kokkos::deep_copy(flow.state, start);
  const auto integrator = make_integrator(name, *flow.solver, options);
  const double mass = budgets(*flow.solver, flow.state).mass;
  Outcome out;
  out.steps = static_cast<int>(std::ceil(days * 86400 * flow.rate / cfl * (1 - 1e-12)));
  out.dt = days * 86400 / out.steps;
  MPI_Barrier(MPI_COMM_WORLD);
  const double began = MPI_Wtime();
  const std::clock_t cpu_began = std::clock();
  for (int k = 0; k < out.steps; ++k) integrator->step(*flow.solver, flow.state, out.dt);
  Kokkos::fence();
  out.seconds = MPI_Wtime() - began;
  out.cpu_seconds = static_cast<double>(std::clock() - cpu_began) / CLOCKS_PER_SEC;  // unmoved by other work
  double rate = flow.solver->largest_rate(flow.state);
  MPI_Allreduce(MPI_IN_PLACE, &rate, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  out.finite = std::isfinite(rate);
  if (!out.finite) return out;
  if (const auto* implicit = dynamic_cast<const SemiImplicit*>(integrator.get()))
    out.iterations = implicit->helmholtz().total_iterations();
  out.mass_drift = budgets(*flow.solver, flow.state).mass / mass - 1;
  return fields_of(flow, std::move(out));
}

void print(const Arguments& a, const std::string& integrator, const Outcome& o, double cfl, const Flow& flow,
           const Outcome& reference) {
  nlohmann::ordered_json line = {{"case", a.kind},
                                 {"n", a.n},
                                 {"days", a.days},
                                 {"integrator", integrator},
                                 {"cfl", cfl},
                                 {"dt_seconds", o.dt},
                                 {"steps", o.steps},
                                 {"seconds", o.seconds},
                                 {"cpu_seconds", o.cpu_seconds},
                                 {"finite", o.finite},
                                 {"helmholtz_iterations", o.iterations},
                                 {"reference_n", a.reference_n > 0 ? a.reference_n : a.n}};
  if (integrator == "semi_implicit")
    line["helmholtz"] = a.options.helmholtz.solver + " " + a.options.helmholtz.preconditioner;
  if (o.finite) {
    line["mass_drift"] = o.mass_drift;
    for (const auto& [name, value, exact] :
         {std::tuple{"depth", &o.depth, &reference.depth}, {"vorticity", &o.vorticity, &reference.vorticity}}) {
      const ErrorNorms e = error_norms(*flow.grid, MPI_COMM_WORLD, *value, *exact);
      line[name] = {{"l1", e.l1}, {"l2", e.l2}, {"linf", e.linf}};
    }
  }
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == 0) std::puts(line.dump().c_str());
  std::fflush(stdout);
}

void bench(const Arguments& a) {
  Flow flow(a, a.n);
  const State start = flow.solver->make_state("start");
  Kokkos::deep_copy(start, flow.state);
  Outcome reference;
  if (a.reference_n > a.n) {
    Flow fine(a, a.reference_n);
    const State fine_start = fine.solver->make_state("start");
    Kokkos::deep_copy(fine_start, fine.state);
    run(fine, fine_start, "ssprk3", a.reference_cfl, a.days);
    coarse_grain_state(*fine.solver, fine.state, *flow.solver, flow.state);
    reference = fields_of(flow, {});
  } else {
    reference = run(flow, start, "ssprk3", a.reference_cfl, a.days);
  }
  for (const std::string& run_name : a.runs) {
    const auto colon = run_name.find(':');
    if (colon == std::string::npos) throw InputError("a run is integrator:Courant number, not '" + run_name + "'");
    const std::string integrator = run_name.substr(0, colon);
    const double cfl = std::stod(run_name.substr(colon + 1));
    print(a, integrator, run(flow, start, integrator, cfl, a.days, a.options), cfl, flow, reference);
  }
}

}  // namespace
}  // namespace tramontane

int main(int argc, char** argv) {
  tramontane::Arguments a;
  CLI::App app("Error against wall time of the time integrators");
  app.add_option("--case", a.kind, "williamson2, williamson5, galewsky or winds");
  app.add_option("--month", a.month, "start month of winds, YYYY-MM");
  app.add_option("--n", a.n, "cells along a panel edge");
  app.add_option("--days", a.days, "length of the runs");
  app.add_option("--runs", a.runs, "integrator:Courant number, comma-separated")->delimiter(',');
  app.add_option("--solver", a.options.helmholtz.solver, "as physics.helmholtz.solver");
  app.add_option("--preconditioner", a.options.helmholtz.preconditioner, "as physics.helmholtz.preconditioner");
  app.add_option("--tolerance", a.options.helmholtz.tolerance, "as physics.helmholtz.tolerance");
  app.add_option("--petsc-options", a.options.helmholtz.petsc_options, "as physics.helmholtz.petsc_options");
  app.add_option("--reference-n", a.reference_n, "grid of the reference run; 0: the same");
  app.add_option("--reference-cfl", a.reference_cfl, "Courant number of the reference run");
  CLI11_PARSE(app, argc, argv);
  MPI_Init(&argc, &argv);
  int code = 0;
  {
    Kokkos::ScopeGuard kokkos(argc, argv);
    try {
      const tramontane::PetscSession petsc;
      tramontane::bench(a);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s\n", e.what());
      code = 2;
    }
  }
  if (code) MPI_Abort(MPI_COMM_WORLD, code);
  MPI_Finalize();
}
