/// How a coupled run ends: reports, and an end without learners that can not come to it.
#pragma once

#include <string>

#include "src/coupled/energy_meter.hpp"
#include "src/coupled/model_handover.hpp"
#include "src/exchange/solver_end.hpp"
#include "src/output/summary.hpp"
#include "src/program/commands.hpp"

namespace tramontane {

/// Metrics of solver and learner go to files of their own while both run, and are joined at the end.
std::string metrics_path(const Deck& deck, const char* part);

/// What the reports are made of.
struct RunEnding {
  bool whole = true;         ///< no signal ended the run early
  double began = 0;          ///< MPI_Wtime
  std::string why_not_saved;  ///< of the snapshot that a signal asked for; "" when it was
};

/// Brings the ends of a run together when every rank is there for it; else the solver ranks alone, the learner's figures
/// being unknown but for what it said. Collective over `together`; `exchange` on the first rank of a run of two jobs.
void write_reports(const CommandContext& context, MPI_Comm together, const RunEnding& ending, EnergyMeter& energy,
                   Summary& summary, SolverEnd* exchange);

/// Ends the job from the solver ranks, which have written everything, while a learner process is dead or hangs and
/// would never come to MPI_Finalize. Open MPI then ends what is left of the job, and mpirun returns the code, zero
/// included (docs/design/weights.md).
[[noreturn]] void end_without_learners(const CommandContext& context, MPI_Comm solvers, ModelHandover& handover, int code);

}  // namespace tramontane
