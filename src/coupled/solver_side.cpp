#include "src/coupled/solver_side.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "src/coupled/coarse_physics.hpp"
#include "src/coupled/forecast_report.hpp"
#include "src/coupled/provenance.hpp"
#include "src/coupled/stream_setup.hpp"
#include "src/coupled/teacher.hpp"
#include "src/output/cf_grid.hpp"
#include "src/program/collective_guard.hpp"
#include "src/program/estimate.hpp"

namespace tramontane {

std::unique_ptr<ArchiveWriter> make_archive(const Deck& deck, MPI_Comm solvers, const Tiling& tiling,
                                            std::function<void(ArchiveChange, std::int64_t)> on_change) {
  if (!deck.stream.archive) return nullptr;
  ArchiveMeta meta;
  meta.interval_seconds = deck.surrogate.interval;
  meta.code_version = TRAMONTANE_VERSION;
  meta.run_id = run_id(deck);
  meta.source = fmt::format("winds, C{} taught to C{}", deck.grid.n, deck.surrogate.coarse_n);
  meta.physics = coarse_physics(deck);
  const CfGrid grid = cubed_sphere_cf_grid(tiling.n);
  meta.lon = grid.lon;
  meta.lat = grid.lat;
  meta.cell_area = grid.area;
  meta.on_change = std::move(on_change);
  return std::make_unique<ArchiveWriter>(*deck.stream.archive, solvers, tiling, meta);
}

bool SolverSide::run(Summary& summary) {
  if (context_.is_root() && stream_)
    spdlog::info("a solver rank holds {} for the stream's queue of {} samples", bytes_text(stream_->queue_bytes()),
                 deck_.stream.queue);
  stream_lessons();
  if (stream_) end_stream(summary);
  gate_.end_lessons();

  Forecast forecast(deck_, pair_);
  bool whole = forecast.run_references(context_.is_root(), [&] { gate_.poll(samples_); });
  watch_.include(forecast.budget_watch());
  gate_.await_last(whole, [](std::int64_t step) { spdlog::info("the learner is at step {}", step); });
  whole = whole && run_hybrid(forecast);
  summary.solver = solver_summary(pair_.fine(), watch_);
  summary.gate = gate_.summary();
  collective_guard(pair_.comm(), [&] {
    if (context_.is_root()) gate_.save_models(deck_.output.dir, !whole);
  });
  if (!whole) return false;
  write_forecasts(deck_, "run", pair_, forecast);
  summary.forecast = report_scores(pair_, forecast, metrics_);
  return true;
}

void SolverSide::end_stream(Summary& summary) {
  Ledger ledger;
  try {
    ledger = stream_->finish();
  } catch (const LearnerSilent& error) {
    lose_learner(error.what());
    ledger = stream_->finish();
  }
  if (context_.is_root()) spdlog::info("stream closed: {}", to_string(ledger));
  if (!ledger.closed()) throw RunError("the stream's ledger does not close: " + to_string(ledger));
  summary.stream = stream_summary(ledger);
  add_stalls(*summary.stream, *stream_);
}

void SolverSide::push(const SampleInfo& info, const std::vector<const float*>& payload) {
  try {
    stream_->push(info, payload);
  } catch (const LearnerSilent& error) {  // on all solver ranks
    lose_learner(error.what());
    stream_->push(info, payload);  // is counted
  }
}

/// On all solver ranks: nothing more goes to the learner, and what was on its way is lost.
void SolverSide::lose_learner(const std::string& why) {
  gate_.set_lost(why);
  if (stream_) stream_->abandon();
}

/// With the version in use; one that can not be run to the end, or that the guard leaves out for the most part, is rolled back, and the forecasts begin again with the
/// one before, at last with physics alone: scores are those of one version.
bool SolverSide::run_hybrid(Forecast& forecast) {
  while (HybridCorrection* correction = gate_.correction()) {
    try {
      const bool whole = run_hybrid_forecasts(forecast, *correction, context_.is_root());
      if (whole && correction->fallback_fraction() > deck_.gate.fallback_limit) {
        gate_.roll_back(fmt::format("in the hybrid forecasts the guard replaces its correction in {:.0f} % of the cells",
                                    100 * correction->fallback_fraction()));
        continue;
      }
      const double clamped = correction->clamped_fraction();
      if (context_.is_root())
        spdlog::info("hybrid forecasts with version {}: {:.2e} of the corrections met their bounds", gate_.version(), clamped);
      return whole;
    } catch (const BlowUp& error) {
      pair_.coarse().solver().set_forcing({});
      gate_.roll_back(std::string("in a hybrid forecast ") + error.what());
    }
  }
  if (context_.is_root())
    spdlog::warn("no weights are in use: the hybrid forecasts are those of the coarse solver, physics alone");
  forecast.hybrid_is_coarse();
  return true;
}

void SolverSide::stream_lessons() {
  std::vector<const float*> payload;
  TeachHooks hooks;
  hooks.started = [&](int) { watch_.start(pair_.fine()); };
  hooks.sampled = [&](const SampleInfo& info, const CellFields& truth) {
    // Under `block` push() finds a silent learner; the other policies never wait for one.
    if (stream_ && context_.is_root() && stream_->silent_seconds() > deck_.stream.deadline)
      gate_.tell_lost(fmt::format("a learner rank has not answered to a sample for {:g} s", deck_.stream.deadline));
    gate_.poll(info.number);
    if (gate_.learner_is_lost() && !gate_.learner_takes_samples()) lose_learner(gate_.why_lost());
    gate_.see(info, truth);
    if (stream_) stream_->set_weights_version(gate_.version());
  };
  hooks.deliver = [&](const SampleTiles& sample) {
    payload.clear();
    for (const auto& variable : sample.variables) payload.push_back(variable.data());
    if (stream_) push(sample.info, payload);
    if (archive_) archive_sample(sample.info, payload);
    samples_ = sample.info.number + 1;
  };
  hooks.between = [&] {
    if (stream_) stream_->progress();
  };
  hooks.finished = [&](int lesson) { report_lesson(lesson); };
  teach(deck_, pair_, hooks, context_.is_root());
  if (archive_ && !archive_->failed()) archive_->close();
}

void SolverSide::report_lesson(int lesson) {
  const Budgets drift = watch_.drift(pair_.fine());
  if (metrics_)
    metrics_->write("solver", {{"lesson", lesson},
                               {"lesson_seconds", pair_.fine().time()},
                               {"steps", pair_.fine().effort().steps},
                               {"mass_drift", drift.mass},
                               {"energy_drift", drift.energy},
                               {"enstrophy_drift", drift.potential_enstrophy},
                               {"angular_momentum_drift", drift.angular_momentum},
                               {"seconds", pair_.fine().effort().seconds}});
}

void SolverSide::archive_sample(const SampleInfo& info, const std::vector<const float*>& payload) {
  if (archive_->failed()) return;
  try {
    archive_->append(info, payload);
  } catch (const RunError& error) {
    if (context_.is_root()) spdlog::error("the archive ends here, the run goes on: {}", error.what());
  }
}

}  // namespace tramontane
