#include "src/coupled/solver_run.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cmath>
#include <filesystem>

#include "kernels/communicator.hpp"
#include "physics/remap/conservative_remap.hpp"
#include "src/checkpoint/checkpoint_store.hpp"
#include "src/coupled/energy_meter.hpp"
#include "src/coupled/initial_cases.hpp"
#include "src/coupled/solver_report.hpp"
#include "src/coupled/tracer_report.hpp"
#include "src/output/cf_writer.hpp"
#include "src/output/continued_file.hpp"
#include "src/output/latlon_writer.hpp"
#include "src/output/metrics.hpp"
#include "src/output/report.hpp"
#include "src/output/run_folder.hpp"
#include "src/program/collective_guard.hpp"
#include "src/program/progress.hpp"
#include "src/program/signals.hpp"

namespace tramontane {

namespace {

/// The flow's variables, then the tracers.
std::vector<CfVariable> output_variables(const ShallowWater& solver) {
  std::vector<CfVariable> list = {
      {"h", "m", "fluid depth", ""},
      {"u", "m s-1", "eastward velocity", "eastward_wind"},
      {"v", "m s-1", "northward velocity", "northward_wind"},
      {"vorticity", "s-1", "relative vorticity", "atmosphere_relative_vorticity"},
  };
  for (const CfVariable& tracer : tracer_variables(solver)) list.push_back(tracer);
  return list;
}

/// Writes the solver's fields to the CF file on the cubed sphere and, when asked for, to the regular grid.
class SolverOutput {
 public:
  /// @param resumed the checkpoint that the run continues from: files that an earlier run left are cut to it and
  ///        continued; null when the run starts anew
  SolverOutput(const Deck& deck, const std::string& deck_text, Simulation& simulation, const Checkpoint* resumed)
      : simulation_(simulation),
        comm_(simulation.solver().comm()),
        variables_(output_variables(simulation.solver())) {
    MPI_Comm_rank(comm_, &rank_);
    if (resumed) last_time_ = resumed->last_record;
    const Tiling& tiling = simulation.grid().tiling();
    const std::string cube = deck.output.dir + "/solver.nc", latlon = deck.output.dir + "/solver_latlon.nc";
    const hsize_t n = tiling.n;
    if (resumed && can_continue(cube, {kPanels, n, n}, resumed->records, *resumed)) {
      cube_ = std::make_unique<CfWriter>(cube, comm_, tiling, resumed->records, variables_);
    } else {
      cube_ = std::make_unique<CfWriter>(cube, comm_, tiling, cubed_sphere_cf_grid(tiling.n), variables_,
                                         provenance_attributes("Tramontane solver run", "run", deck_text));
      cube_->write_static({"orography", "m", "height of the orography", "surface_altitude"},
                          simulation.solver().orography());
    }
    if (deck.output.latlon <= 0) return;
    if (rank_ == 0) remap_ = std::make_unique<LatLonRemap>(simulation.grid().n(), deck.output.latlon);
    const LatLonGrid regular = LatLonGrid::regular(deck.output.latlon);
    const Remap remap = [this](const std::vector<double>& field) { return remap_->apply(field); };
    if (resumed && can_continue(latlon, {regular.lat.size(), regular.lon.size()}, resumed->latlon_records, *resumed)) {
      latlon_ = std::make_unique<LatLonWriter>(latlon, comm_, tiling, regular, remap, resumed->latlon_records,
                                               variables_);
    } else {
      latlon_ = std::make_unique<LatLonWriter>(
          latlon, comm_, tiling, regular, remap, variables_,
          provenance_attributes("Tramontane solver run, regular grid", "run", deck_text));
    }
  }

  void write() {
    const CellFields fields = simulation_.fields();
    const HorizontalWind wind = horizontal_wind(simulation_.grid(), fields);
    std::map<std::string, std::vector<double>> record = {
        {"h", fields.depth},
        {"u", wind.eastward},
        {"v", wind.northward},
        {"vorticity", relative_vorticity(simulation_.solver(), simulation_.state())}};
    add_tracers(simulation_.solver(), simulation_.state(), record);
    cube_->write(simulation_.time(), record);
    if (latlon_) latlon_->write(simulation_.time(), record, fields.velocity);
    last_time_ = simulation_.time();
  }

  /// Where the files stand, for a checkpoint.
  void describe(Checkpoint& checkpoint) const {
    checkpoint.records = cube_->records();
    checkpoint.latlon_records = latlon_ ? latlon_->records() : 0;
    checkpoint.last_record = last_time_;
  }

 private:
  /// Whether the file now holds exactly the checkpoint's records. One that does not is set aside, and said.
  bool can_continue(const std::string& path, const std::vector<hsize_t>& inner, std::int64_t records,
                    const Checkpoint& checkpoint) const {
    int good = 1;
    collective_guard(comm_, [&] {
      if (rank_ != 0) return;
      std::vector<std::string> names;
      for (const CfVariable& variable : variables_) names.push_back(variable.name);
      const std::string reason = cut_to_records(path, names, inner, records, checkpoint.last_record);
      if (reason.empty()) return;
      good = 0;
      const bool is_there = std::filesystem::exists(path);
      if (is_there) set_aside(path);
      if (records > 0)
        spdlog::warn("{} can not be continued ({}): a new one begins after {:.2f} h{}", path, reason,
                     checkpoint.last_record / 3600, is_there ? ", the old one is kept as " + path + ".broken" : "");
    });
    MPI_Bcast(&good, 1, MPI_INT, 0, comm_);
    return good != 0;
  }

  Simulation& simulation_;
  MPI_Comm comm_;
  std::vector<CfVariable> variables_;
  int rank_ = 0;
  double last_time_ = 0;
  std::unique_ptr<CfWriter> cube_;
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

/// Brings the simulation to where the checkpoint at `path` was taken. Throws InputError when it does not fit.
Checkpoint resume(const std::string& path, const Deck& deck, Simulation& simulation, BudgetWatch& watch) {
  const MPI_Comm comm = simulation.solver().comm();
  Checkpoint own = describe(deck, simulation);
  own.budgets_at_start = watch.start_values();
  own.largest_drifts = watch.worst_values();
  const Checkpoint checkpoint = read_checkpoint(path, comm);
  check_fits(checkpoint, own, path);
  read_checkpoint_state(path, simulation.solver(), simulation.state());
  simulation.restore(checkpoint.progress);
  watch.restore(checkpoint.budgets_at_start, checkpoint.largest_drifts);

  if (rank_in(comm) == 0) {
    spdlog::info("continuing at {:.2f} h, after {} steps, from {}", checkpoint.progress.time / 3600,
                 checkpoint.progress.effort.steps, path);
    if (checkpoint.version != own.version)
      spdlog::warn("{} was written by tramontane {}, this is {}: results may differ in the last digits", path,
                   checkpoint.version, own.version);
  }
  const StepPlan& plan = checkpoint.progress.plan;
  if (checkpoint.cfl != own.cfl || checkpoint.dt != own.dt || checkpoint.integrator != own.integrator ||
      checkpoint.reconstruction != own.reconstruction || checkpoint.viscosity != own.viscosity) {
    if (rank_in(comm) == 0)
      spdlog::warn(
          "the integrator, the reconstruction, the viscosity or the time step is another one than in {}: steps are "
          "planned anew",
          path);
    if (plan.steps > 0) simulation.plan(plan.end - checkpoint.progress.time);
  }
  return checkpoint;
}

}  // namespace

int run_solver_alone(const CommandContext& context) {
  const Deck& deck = context.deck;
  const double began = MPI_Wtime();
  EnergyMeter energy;
  const auto grid =
      std::make_shared<const Grid>(Tiling(deck.grid.n, deck.grid.tiles_per_edge, context.size), context.rank,
                                   kEarthRadius, deck.physics.reconstruction);
  const InitialRun initial = start_initial_case(deck, grid, context.world);
  Simulation* const simulation = initial.simulation.get();
  simulation->checked_rate();  // before an earlier run's files are replaced
  BudgetWatch watch;
  watch.start(*simulation);

  CheckpointStore store(deck, context.world);
  const std::optional<std::string> found = store.find();
  std::optional<Checkpoint> resumed;
  if (found) {
    resumed = resume(*found, deck, *simulation, watch);
    simulation->checked_rate();
  }
  store.open(found.value_or(""), simulation->time());

  const std::string deck_text = dump_deck(deck);
  SolverOutput output(deck, deck_text, *simulation, resumed ? &*resumed : nullptr);
  std::unique_ptr<MetricsWriter> metrics;
  collective_guard(context.world, [&] {
    if (!context.is_root()) return;
    write_resolved_deck(deck);
    const std::string path = deck.output.dir + "/metrics.jsonl";
    if (resumed) cut_metrics(path, simulation->time());
    metrics = std::make_unique<MetricsWriter>(path, resumed.has_value());
  });
  const auto report = [&] {
    const Budgets drift = watch.drift(*simulation);
    const auto tracer_drift = watch.tracer_drift(*simulation);
    double fastest = 0;
    for (double speed : speed_of(simulation->fields())) fastest = std::max(fastest, speed);
    MPI_Allreduce(MPI_IN_PLACE, &fastest, 1, MPI_DOUBLE, MPI_MAX, context.world);
    const auto errors = errors_now(initial);
    if (!metrics) return;
    nlohmann::ordered_json values = {{"time_seconds", simulation->time()},
                                     {"steps", simulation->effort().steps},
                                     {"mass_drift", drift.mass},
                                     {"energy_drift", drift.energy},
                                     {"enstrophy_drift", drift.potential_enstrophy},
                                     {"angular_momentum_drift", drift.angular_momentum},
                                     {"largest_speed", fastest},
                                     {"seconds", simulation->effort().seconds}};
    for (const auto& [name, change] : tracer_drift) values["tracer_drift_" + name] = change;
    add_errors(values, errors);
    metrics->write("solver", values);
  };

  Checkpoint next = describe(deck, *simulation);
  const auto write_checkpoint = [&] {
    next.progress = simulation->progress();
    next.budgets_at_start = watch.start_values();
    next.largest_drifts = watch.worst_values();
    output.describe(next);
    return store.write(next, simulation->solver(), simulation->state());
  };

  if (!resumed) {
    output.write();
    report();
  }
  const double start = simulation->time(), end = deck.time.days * 86400;
  Progress progress(resumed ? fmt::format("solver after {:.4g} h", start / 3600) : "solver", (end - start) / 3600, "h",
                    context.is_root());
  const auto wishes = [&] { return StepFlags{stop_requested(), store.is_due_by_clock()}; };
  bool stopped = false;
  try {
    while (simulation->under_way() || simulation->time() < end - 1e-6) {
      if (!simulation->under_way()) simulation->plan(std::min(deck.output.every, end - simulation->time()));
      StepFlags flags = simulation->step(wishes);
      const bool is_output = !simulation->under_way();
      if (is_output || flags.stop || flags.checkpoint || store.is_due(simulation->time())) {
        // Nothing is written of a state that was not found good.
        const StepFlags now = simulation->settle();
        flags.stop |= now.stop;
        flags.checkpoint |= now.checkpoint;
      }
      if (is_output) {
        output.write();
        report();
      }
      progress.update((simulation->time() - start) / 3600);
      stopped = flags.stop && (simulation->under_way() || simulation->time() < end - 1e-6);
      if ((stopped || flags.checkpoint || store.is_due(simulation->time())) && !write_checkpoint() && stopped)
        throw RunError("the run was asked to stop, and its checkpoint could not be written (see the warning above)");
      if (stopped) break;
    }
  } catch (const RunError& error) {
    if (store.last().empty()) throw;
    throw RunError(fmt::format("{}; the last good checkpoint is {}", error.what(), store.last()));
  }
  progress.finish();

  Summary summary;
  summary.command = "run";
  summary.version = TRAMONTANE_VERSION;
  summary.deck = deck.file;
  summary.solver_ranks = context.size;
  summary.solver = solver_summary(*simulation, watch);
  summary.solver->errors = errors_now(initial);
  collective_guard(context.world, [&] {
    if (!context.is_root()) return;
    summary.wall_seconds = MPI_Wtime() - began;
    summary.energy = energy.read();
    write_summary(deck.output.dir, summary);
    for (const auto& [field, e] : summary.solver->errors)
      spdlog::info("errors of {}: l1 {:.3e}, l2 {:.3e}, linf {:.3e}", field, e.l1, e.l2, e.linf);
    for (const auto& [name, drift] : summary.solver->tracer_drift)
      spdlog::info("tracer {}: largest drift of its content {:.1e}", name, drift);
    spdlog::info(
        "solver: {} steps of at most {:.1f} s, {:.3g} cell updates/s, {:.3g} simulated years a day; relative "
        "mass drift {:.1e}",
        summary.solver->steps, summary.solver->dt_seconds, summary.solver->cell_updates_per_second,
        summary.solver->sypd, summary.solver->mass_drift);
    if (!stopped) make_report(deck);
    check_conservation(*summary.solver, deck.physics.viscosity == 0);
  });
  if (stopped && context.is_root())
    spdlog::info(
        "stopped by a signal at {:.2f} h: the checkpoint is {}; run the same command with --set "
        "checkpoint.resume=auto to continue",
        simulation->time() / 3600, store.last());
  return stopped ? kExitStopped : kExitDone;
}

}  // namespace tramontane
