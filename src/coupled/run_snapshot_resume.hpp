/// How a coupled run takes up a snapshot.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "src/checkpoint/run_snapshot_store.hpp"
#include "src/coupled/run_snapshot_learner.hpp"
#include "src/coupled/solver_pair.hpp"
#include "src/coupled/solver_report.hpp"
#include "src/program/commands.hpp"

namespace tramontane {

/// Lines "key = value" of the deck that decide what a coupled run computes.
std::string run_settings(const Deck& deck);

/// The snapshot that a run goes on from.
struct RunPast {
  std::string path;
  RunSnapshot snapshot;
  std::unique_ptr<LearnerPast> learner;  ///< on learner ranks
};

/// What checkpoint.resume asks for, the same on all ranks; nothing when it asks for none, or auto finds none. A snapshot
/// of which any part, or a sample that it needs, is damaged is passed over for the next older one, with a warning.
/// Throws InputError when none of those that are there is whole, and when the newest whole one is of another format, of
/// another run or of another number of learners. Collective over the world.
std::optional<RunPast> find_past(const CommandContext& context);

/// Brings the fine solver to where the snapshot was taken. Collective over the solvers; throws InputError when the state
/// is not one of this run.
void restore_fine_solver(const RunPast& past, const Deck& deck, SolverPair& pair, BudgetWatch& watch);

}  // namespace tramontane
