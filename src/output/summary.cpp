#include "src/output/summary.hpp"

#include "src/output/run_folder.hpp"

namespace tramontane {
namespace {

using Json = nlohmann::ordered_json;

Json optional_number(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json solver_json(const SolverSummary& s) {
  Json json = {{"n", s.n},
               {"cells", s.cells},
               {"steps", s.steps},
               {"dt_seconds", s.dt_seconds},
               {"seconds", s.seconds},
               {"cell_updates_per_second", s.cell_updates_per_second},
               {"sypd", s.sypd},
               {"mass_drift", s.mass_drift},
               {"energy_drift", s.energy_drift},
               {"enstrophy_drift", s.enstrophy_drift},
               {"angular_momentum_drift", s.angular_momentum_drift}};
  json["precision"] = s.precision;
  if (!s.tracer_drift.empty()) json["tracer_drift"] = s.tracer_drift;
  for (const auto& [field, norms] : s.errors)
    json["errors"][field] = {{"l1", norms.l1}, {"l2", norms.l2}, {"linf", norms.linf}};
  return json;
}

Json stream_json(const StreamSummary& s) {
  return {{"produced", s.produced},
          {"delivered", s.delivered},
          {"dropped", s.dropped},
          {"in_flight", s.in_flight},
          {"rejected", s.rejected},
          {"lost", s.lost},
          {"bytes", s.bytes},
          {"producer_stall_seconds", s.producer_stall_seconds},
          {"stall_seconds",
           {{"agreement", s.stall_agreement_seconds}, {"room", s.stall_room_seconds}, {"end", s.stall_end_seconds}}},
          {"learner_idle_seconds", s.learner_idle_seconds},
          {"queue_bytes", s.queue_bytes},
          {"path", s.path}};
}

Json learner_json(const LearnerSummary& s) {
  Json json = {{"parameters", s.parameters},
          {"steps", s.steps},
          {"samples_seen", s.samples_seen},
          {"reuse_factor", s.reuse_factor},
          {"samples_per_second", s.samples_per_second},
          {"loss_first", s.loss_first},
          {"loss_last", s.loss_last},
          {"validation_loss", optional_number(s.validation_loss)},
          {"weights_version", s.weights_version},
          {"bad_steps", s.bad_steps},
          {"reservoir_bytes", s.reservoir_bytes},
          {"receive_bytes", s.receive_bytes},
          {"peer_wait_seconds", s.peer_wait_seconds},
          {"drift", optional_number(s.drift)},
          {"drift_step", s.drift ? Json(s.drift_step) : Json(nullptr)}};
  if (!s.offline) return json;
  const OfflineSummary& o = *s.offline;
  json.update(Json{{"epochs", o.epochs},
                   {"training_samples", o.training_samples},
                   {"validation_samples", o.validation_samples},
                   {"bad_samples", o.bad_samples},
                   {"duplicate_samples", o.duplicate_samples},
                   {"resumed_step", o.resumed_step},
                   {"read_wait_seconds", o.read_wait_seconds},
                   {"stopped_early", o.stopped_early},
                   {"best_step", o.best_step >= 0 ? Json(o.best_step) : Json(nullptr)},
                   {"best_validation_loss", optional_number(o.best_validation_loss)}});
  if (o.rollout)
    json["rollout"] = {{"stages", o.rollout->stages},
                       {"steps", o.rollout->steps},
                       {"lost", o.rollout->lost},
                       {"loss_first", o.rollout->loss_first},
                       {"loss_last", o.rollout->loss_last}};
  return json;
}

Json gate_json(const GateSummary& s) {
  return {{"candidates", s.candidates},
          {"promoted", s.promoted},
          {"rejected", s.rejected},
          {"superseded", s.superseded},
          {"rollbacks", s.rollbacks},
          {"version", s.version},
          {"forecast", s.version > 0 ? "hybrid" : "physics alone"},
          {"training_step", s.training_step},
          {"held_out_loss", optional_number(s.held_out_loss)},
          {"relative_loss", optional_number(s.relative_loss)},
          {"shadow_score", optional_number(s.shadow_score)},
          {"cases", s.cases},
          {"shadow_hours", s.shadow_hours},
          {"case_bytes", s.case_bytes},
          {"live_hours", s.live_hours},
          {"seconds", s.seconds}};
}

Json snapshots_json(const SnapshotSummary& s) {
  Json out = {{"taken", s.taken}, {"seconds", s.seconds}, {"last", s.last}, {"restarts", Json::array()}};
  for (const SnapshotSummary::Restart& r : s.restarts)
    out["restarts"].push_back({{"snapshot", r.snapshot}, {"sample", r.sample}, {"step", r.step}});
  return out;
}

Json forecast_json(const ForecastSummary& s) {
  return {{"lead_hours", s.lead_hours},
          {"starts", s.start_months.size()},
          {"start_months", s.start_months},
          {"rmse", s.rmse},
          {"acc", s.acc},
          {"effective_resolution", optional_number(s.effective_resolution)},
          {"fallback_fraction", optional_number(s.fallback_fraction)},
          {"cost_ratio", optional_number(s.cost_ratio)}};
}

Json exchange_json(const ExchangeSummary& s) {
  return {{"produced", s.produced}, {"archived", s.archived}, {"lost", s.lost},
          {"taken", s.taken},       {"rejected", s.rejected}, {"left", s.left},
          {"learners", s.learners}, {"refused", s.refused},   {"partner", s.partner}};
}

}  // namespace

Json to_json(const Summary& summary) {
  Json json = {{"command", summary.command},
               {"version", summary.version},
               {"deck", summary.deck},
               {"ranks", {{"solver", summary.solver_ranks}, {"learner", summary.learner_ranks}}},
               {"wall_seconds", summary.wall_seconds}};
  if (summary.solver) json["solver"] = solver_json(*summary.solver);
  if (summary.stream) json["stream"] = stream_json(*summary.stream);
  if (summary.learner) json["learner"] = learner_json(*summary.learner);
  if (summary.gate) {
    json["gate"] = gate_json(*summary.gate);
    json["learner"]["lost"] = !summary.gate->learner_lost.empty();
    if (!summary.gate->learner_lost.empty()) json["learner"]["why_lost"] = summary.gate->learner_lost;
  }
  if (summary.forecast) json["forecast"] = forecast_json(*summary.forecast);
  if (summary.snapshots) json["snapshots"] = snapshots_json(*summary.snapshots);
  if (summary.exchange) json["exchange"] = exchange_json(*summary.exchange);
  json["energy"] = {{"joules", optional_number(summary.energy.joules)}, {"source", summary.energy.source}};
  return json;
}

void write_summary(const std::filesystem::path& folder, const Summary& summary) {
  write_whole_file(folder / "summary.json", to_json(summary).dump(2) + "\n");
}

}  // namespace tramontane
