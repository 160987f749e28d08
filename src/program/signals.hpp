/// A request to stop, made by a signal and polled by the run.
#pragma once

#include <mpi.h>

namespace tramontane {

/// From now on SIGTERM and SIGUSR1 ask the run to stop instead of ending the process. Slurm sends either before the
/// time limit (--signal); mpirun passes SIGUSR1 on to all ranks.
void catch_stop_signals();

/// Whether one of the signals has come on this rank.
bool stop_requested();

/// Whether it has come on any rank of `comm`. Collective.
bool stop_requested(MPI_Comm comm);

}  // namespace tramontane
