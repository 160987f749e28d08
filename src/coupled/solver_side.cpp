#include "src/coupled/solver_side.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "src/coupled/forecast_report.hpp"
#include "src/coupled/hybrid.hpp"
#include "src/coupled/provenance.hpp"
#include "src/coupled/stream_setup.hpp"
#include "src/coupled/teacher.hpp"
#include "src/output/cf_grid.hpp"

namespace tramontane {

std::unique_ptr<ArchiveWriter> make_archive(const Deck& deck, MPI_Comm solvers, const Tiling& tiling) {
  if (!deck.stream.archive) return nullptr;
  ArchiveMeta meta;
  meta.interval_seconds = deck.surrogate.interval;
  meta.code_version = TRAMONTANE_VERSION;
  meta.run_id = run_id(deck);
  meta.source = fmt::format("winds, C{} taught to C{}", deck.grid.n, deck.surrogate.coarse_n);
  const CfGrid grid = cubed_sphere_cf_grid(tiling.n);
  meta.lon = grid.lon;
  meta.lat = grid.lat;
  meta.cell_area = grid.area;
  return std::make_unique<ArchiveWriter>(*deck.stream.archive, solvers, tiling, meta);
}

bool SolverSide::run(Summary& summary) {
  const Tiling& tiling = pair_.coarse().grid().tiling();
  StreamProducer producer(context_.world, stream_roles(context_.ranks), tiling, stream_options(deck_));
  stream_lessons(producer);
  const Ledger ledger = producer.finish();
  if (context_.is_root()) spdlog::info("stream closed: {}", to_string(ledger));
  summary.stream = stream_summary(ledger);
  summary.stream->producer_stall_seconds = producer.stall_seconds();

  Forecast forecast(deck_, pair_);
  const auto listen = [&] { handover_.listen(); };
  bool whole = forecast.run_references(context_.is_root(), listen);
  watch_.include(forecast.budget_watch());
  const Model model = handover_.receive([](std::int64_t step) { spdlog::info("the learner is at step {}", step); });
  HybridCorrection correction(deck_, model, pair_);
  whole = whole && run_hybrid(forecast, correction, context_.is_root());
  summary.solver = solver_summary(pair_.fine(), watch_);
  if (!whole) return false;
  write_forecasts(deck_, "run", pair_, forecast);
  summary.forecast = report_scores(pair_, forecast, metrics_);
  report_guard(pair_.comm(), correction);
  return true;
}

void SolverSide::stream_lessons(StreamProducer& producer) {
  std::vector<const float*> payload;
  TeachHooks hooks;
  hooks.started = [&](int) { watch_.start(pair_.fine()); };
  hooks.deliver = [&](const SampleTiles& sample) {
    payload.clear();
    for (const auto& variable : sample.variables) payload.push_back(variable.data());
    producer.push(sample.info, payload);
    if (archive_) archive_sample(sample.info, payload);
  };
  hooks.between = [&] { producer.progress(); };
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
