/// What the learner ranks of a coupled run do.
#pragma once

#include "src/coupled/model_handover.hpp"
#include "src/coupled/run_snapshot_learner.hpp"
#include "src/output/metrics.hpp"
#include "src/output/summary.hpp"
#include "src/program/commands.hpp"

namespace tramontane {

/// Takes the stream in, trains, and offers weights to the solver as it goes and at the end. An error ends the training
/// but not the job: the solver is told, and the stream is taken in to its end. Throws InputError, and with
/// learner.when_lost = stop whatever ended the training. Collective over world and learners.
/// @param metrics on the first learner rank only
/// @param idle_seconds set to the time spent waiting for samples
/// @param snapshots null: none are taken
/// @param past what the run goes on from, and this learner's part of it; null: it starts anew
LearnerSummary learner_side(const CommandContext& context, MPI_Comm learners, ModelHandover& handover,
                            MetricsWriter* metrics, double& idle_seconds, LearnerSnapshots* snapshots = nullptr,
                            const RunSnapshot* continued = nullptr, std::unique_ptr<LearnerPast> past = nullptr);

}  // namespace tramontane
