#include "src/coupled/solver_run.hpp"

#include <spdlog/spdlog.h>

#include <cmath>

#include "physics/remap/conservative_remap.hpp"
#include "src/coupled/energy_meter.hpp"
#include "src/coupled/initial_cases.hpp"
#include "src/coupled/solver_report.hpp"
#include "src/output/cf_writer.hpp"
#include "src/output/latlon_writer.hpp"
#include "src/output/metrics.hpp"
#include "src/output/report.hpp"
#include "src/output/run_folder.hpp"
#include "src/program/collective_guard.hpp"
#include "src/program/progress.hpp"
#include "src/program/signals.hpp"

namespace tramontane {

namespace {

const std::vector<CfVariable>& output_variables() {
  static const std::vector<CfVariable> list = {
      {"h", "m", "fluid depth", ""},
      {"u", "m s-1", "eastward velocity", "eastward_wind"},
      {"v", "m s-1", "northward velocity", "northward_wind"},
      {"vorticity", "s-1", "relative vorticity", "atmosphere_relative_vorticity"},
  };
  return list;
}

/// Writes the solver's fields to the CF file on the cubed sphere and, when asked for, to the regular grid.
class SolverOutput {
 public:
  SolverOutput(const Deck& deck, const std::string& deck_text, Simulation& simulation)
      : simulation_(simulation),
        comm_(simulation.solver().comm()),
        cube_(deck.output.dir + "/solver.nc", comm_, simulation.grid().tiling(),
              cubed_sphere_cf_grid(simulation.grid().n()), output_variables(),
              provenance_attributes("Tramontane solver run", "run", deck_text)) {
    cube_.write_static({"orography", "m", "height of the orography", "surface_altitude"},
                       simulation.solver().orography());
    if (deck.output.latlon <= 0) return;
    int rank = 0;
    MPI_Comm_rank(comm_, &rank);
    if (rank == 0) remap_ = std::make_unique<LatLonRemap>(simulation.grid().n(), deck.output.latlon);
    latlon_ = std::make_unique<LatLonWriter>(
        deck.output.dir + "/solver_latlon.nc", comm_, simulation.grid().tiling(),
        LatLonGrid::regular(deck.output.latlon),
        [this](const std::vector<double>& field) { return remap_->apply(field); }, output_variables(),
        provenance_attributes("Tramontane solver run, regular grid", "run", deck_text));
  }

  void write() {
    const CellFields fields = simulation_.fields();
    const HorizontalWind wind = horizontal_wind(simulation_.grid(), fields);
    const std::map<std::string, std::vector<double>> record = {
        {"h", fields.depth},
        {"u", wind.eastward},
        {"v", wind.northward},
        {"vorticity", relative_vorticity(simulation_.solver(), simulation_.state())}};
    cube_.write(simulation_.time(), record);
    if (latlon_) latlon_->write(simulation_.time(), record, fields.velocity);
  }

 private:
  Simulation& simulation_;
  MPI_Comm comm_;
  CfWriter cube_;
  std::unique_ptr<LatLonRemap> remap_;
  std::unique_ptr<LatLonWriter> latlon_;
};

/// Keys error_<field>_<norm>.
void add_errors(nlohmann::ordered_json& values, const std::map<std::string, ErrorNorms>& errors) {
  for (const auto& [field, e] : errors) {
    values["error_" + field + "_l1"] = e.l1;
    values["error_" + field + "_l2"] = e.l2;
    values["error_" + field + "_linf"] = e.linf;
  }
}

}  // namespace

int run_solver_alone(const CommandContext& context) {
  const Deck& deck = context.deck;
  const double began = MPI_Wtime();
  EnergyMeter energy;
  const auto grid =
      std::make_shared<const Grid>(Tiling(deck.grid.n, deck.grid.tiles_per_edge, context.size), context.rank);
  const InitialRun start = start_initial_case(deck, grid, context.world);
  Simulation* const simulation = start.simulation.get();
  simulation->checked_rate();  // before an earlier run's files are replaced

  const std::string deck_text = dump_deck(deck);
  SolverOutput output(deck, deck_text, *simulation);
  std::unique_ptr<MetricsWriter> metrics;
  collective_guard(context.world, [&] {
    if (!context.is_root()) return;
    write_resolved_deck(deck);
    metrics = std::make_unique<MetricsWriter>(deck.output.dir + "/metrics.jsonl");
  });
  BudgetWatch watch;
  watch.start(*simulation);
  const auto report = [&] {
    const Budgets drift = watch.drift(*simulation);
    double fastest = 0;
    for (double speed : speed_of(simulation->fields())) fastest = std::max(fastest, speed);
    MPI_Allreduce(MPI_IN_PLACE, &fastest, 1, MPI_DOUBLE, MPI_MAX, context.world);
    const auto errors = errors_now(start);
    if (!metrics) return;
    nlohmann::ordered_json values = {{"time_seconds", simulation->time()},
                                     {"steps", simulation->effort().steps},
                                     {"mass_drift", drift.mass},
                                     {"energy_drift", drift.energy},
                                     {"enstrophy_drift", drift.potential_enstrophy},
                                     {"angular_momentum_drift", drift.angular_momentum},
                                     {"largest_speed", fastest},
                                     {"seconds", simulation->effort().seconds}};
    add_errors(values, errors);
    metrics->write("solver", values);
  };

  output.write();
  report();
  Progress progress("solver", deck.time.days * 24, "h", context.is_root());
  const double end = deck.time.days * 86400;
  bool stopped = false;
  while (simulation->time() < end - 1e-6 && !stopped) {
    simulation->advance(std::min(deck.output.every, end - simulation->time()));
    output.write();
    report();
    progress.update(simulation->time() / 3600);
    stopped = stop_requested(context.world);
  }
  progress.finish();

  Summary summary;
  summary.command = "run";
  summary.version = TRAMONTANE_VERSION;
  summary.deck = deck.file;
  summary.solver_ranks = context.size;
  summary.solver = solver_summary(*simulation, watch);
  summary.solver->errors = errors_now(start);
  collective_guard(context.world, [&] {
    if (!context.is_root()) return;
    summary.wall_seconds = MPI_Wtime() - began;
    summary.energy = energy.read();
    write_summary(deck.output.dir, summary);
    for (const auto& [field, e] : summary.solver->errors)
      spdlog::info("errors of {}: l1 {:.3e}, l2 {:.3e}, linf {:.3e}", field, e.l1, e.l2, e.linf);
    spdlog::info(
        "solver: {} steps of at most {:.1f} s, {:.3g} cell updates/s, {:.3g} simulated years a day; relative "
        "mass drift {:.1e}",
        summary.solver->steps, summary.solver->dt_seconds, summary.solver->cell_updates_per_second,
        summary.solver->sypd, summary.solver->mass_drift);
    make_report(deck);
    check_conservation(*summary.solver);
  });
  return stopped ? kExitStopped : kExitDone;
}

}  // namespace tramontane
