/// summary.json: the figures of a finished run. Its keys stay stable from version to version.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "kernels/precision.hpp"
#include "physics/diagnostics.hpp"

namespace tramontane {

struct SolverSummary {
  std::string precision = kPrecision;  ///< of the state: double or single
  int n = 0;
  std::int64_t cells = 0, steps = 0;
  double dt_seconds = 0, seconds = 0;
  double cell_updates_per_second = 0;
  double sypd = 0;                                               ///< simulated years per day
  double mass_drift = 0, energy_drift = 0, enstrophy_drift = 0;  ///< relative to the start
  double angular_momentum_drift = 0;                             ///< likewise
  std::map<std::string, double> tracer_drift;  ///< of contents, by tracer, relative to the start; empty without tracers
  std::map<std::string, ErrorNorms> errors;    ///< by field; empty without an exact solution
};

struct StreamSummary {
  std::int64_t produced = 0, delivered = 0, dropped = 0, in_flight = 0, rejected = 0, bytes = 0;
  std::int64_t lost = 0;  ///< of the dropped: with a learner that was lost
  double producer_stall_seconds = 0, learner_idle_seconds = 0;
  /// The stall by cause: other solver ranks, a learner's room (block), the learners' end.
  double stall_agreement_seconds = 0, stall_room_seconds = 0, stall_end_seconds = 0;
  std::int64_t queue_bytes = 0;  ///< of one solver rank, fixed at the start
  std::string path;              ///< how frames leave the memory that kernels work on; empty: none was asked for
};

/// Of a fine-tuning with rollouts.
struct RolloutSummary {
  std::vector<int> stages;                ///< coupling intervals
  std::int64_t steps = 0, lost = 0;       ///< steps taken; rollouts that did not stay finite
  double loss_first = 0, loss_last = 0;   ///< of the longest rollouts over held-out months; 0 without any
};

/// What training from archives adds to a learner's figures.
struct OfflineSummary {
  double epochs = 0;                           ///< samples seen over training samples
  std::int64_t training_samples = 0, validation_samples = 0;
  std::int64_t bad_samples = 0, duplicate_samples = 0;  ///< left out
  std::int64_t resumed_step = 0;               ///< of the checkpoint that this job went on from; 0: none
  double read_wait_seconds = 0;                ///< rank 0's wait for samples to be read
  bool stopped_early = false;                  ///< by learner.patience
  std::int64_t best_step = -1;                 ///< of the model with the least held-out loss; -1: none is kept
  std::optional<double> best_validation_loss;  ///< its; of rollouts once the fine-tuning has begun
  std::optional<RolloutSummary> rollout;
};

struct LearnerSummary {
  std::int64_t parameters = 0, steps = 0, samples_seen = 0;
  double reuse_factor = 0;  ///< samples drawn over samples received
  double samples_per_second = 0;
  double loss_first = 0, loss_last = 0;
  std::optional<double> validation_loss;
  int weights_version = 0;
  std::int64_t bad_steps = 0;  ///< attempts that met NaN or infinity and changed nothing
  /// Memory of one learner rank that is fixed at the start: samples drawn from, held out or waiting; receive buffers.
  std::int64_t reservoir_bytes = 0, receive_bytes = 0;
  double peer_wait_seconds = 0;  ///< the first learner's, for the others to take in their samples
  std::optional<double> drift;   ///< greatest drift of arriving samples against the normaliser
  std::int64_t drift_step = 0;   ///< when it was seen
  std::optional<OfflineSummary> offline;
};

/// A run and its learner as two jobs (exchange.dir): where the samples went, as far as this job knows.
struct ExchangeSummary {
  std::int64_t produced = 0, archived = 0, lost = 0;  ///< the run's
  std::int64_t taken = 0, rejected = 0;               ///< the learner's
  std::int64_t left = 0;                              ///< in the archive, not taken
  std::int64_t learners = 0;                          ///< the run's: that have come, one after the other
  std::int64_t refused = 0;                           ///< the run's: damaged weights files
  std::string partner;                                ///< what became of the other job, in words
};

/// What became of the weights that a learner offered.
struct GateSummary {
  std::int64_t candidates = 0, promoted = 0, rejected = 0, superseded = 0, rollbacks = 0;
  std::int64_t version = 0, training_step = 0;  ///< in use at the end; 0: physics alone
  std::optional<double> held_out_loss, relative_loss, shadow_score;  ///< of that version
  int cases = 0;                                                     ///< shadow forecasts a version
  double shadow_hours = 0;                                           ///< length of each
  std::int64_t case_bytes = 0;                                       ///< states kept for them, over all solver ranks
  double live_hours = 0;                                             ///< model time of the live hybrid
  double seconds = 0;                                                ///< wall clock of judging and of the live hybrid
  std::string learner_lost;                                          ///< why the learner was lost; "": it was not
};

/// Snapshots of a coupled run.
struct SnapshotSummary {
  std::int64_t taken = 0;  ///< by this job
  double seconds = 0;      ///< wall clock that the solver ranks spent on them in this job
  std::string last;        ///< path; "" when there is none
  struct Restart {
    std::int64_t snapshot = 0, sample = 0, step = 0;
  };
  std::vector<Restart> restarts;  ///< of the whole run: from which snapshot, sample and training step
};

/// Scores by field, then by system, one value a lead time.
using Scores = std::map<std::string, std::map<std::string, std::vector<double>>>;

struct ForecastSummary {
  std::vector<double> lead_hours;
  std::vector<std::string> start_months;  ///< YYYY-MM; their number is written as starts
  Scores rmse, acc;
  std::optional<double> effective_resolution;  ///< km
  std::optional<double> fallback_fraction;     ///< of cells and intervals: the share of the correction left out by the guard
  std::optional<double> cost_ratio;            ///< wall time of the hybrid over that of the fine solver
};

struct EnergySummary {
  std::optional<double> joules;
  std::string source = "unavailable";  ///< rapl, nvml or unavailable
};

struct Summary {
  std::string command, version, deck;
  int solver_ranks = 0, learner_ranks = 0;
  double wall_seconds = 0;
  std::optional<SolverSummary> solver;
  std::optional<StreamSummary> stream;
  std::optional<LearnerSummary> learner;
  std::optional<GateSummary> gate;
  std::optional<ForecastSummary> forecast;
  std::optional<SnapshotSummary> snapshots;
  std::optional<ExchangeSummary> exchange;
  EnergySummary energy;
};

/// The summary as JSON; groups that the run did not have are left out, numbers that are not finite are null.
nlohmann::ordered_json to_json(const Summary& summary);

/// Writes <folder>/summary.json aside and renames it. Throws RunError when that fails.
void write_summary(const std::filesystem::path& folder, const Summary& summary);

}  // namespace tramontane
