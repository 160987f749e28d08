/// How many threads the network library may use on a rank.
#pragma once

#include <mpi.h>

namespace tramontane {

/// Threads a rank may use without crowding others: its share of the node's processors, no more than it may run on.
int fair_threads(int usable_processors, int node_processors, int ranks_on_node);

/// Limits OpenMP, which oneDNN computes with, to this rank's fair share, unless OMP_NUM_THREADS says otherwise.
/// OpenMP's own default is one thread per processor and rank: unbound ranks that share processors then spin against
/// each other (measured: three ranks on two cores trained at 0.7 steps/s instead of 70). Collective over `world`.
void share_processors(MPI_Comm world);

}  // namespace tramontane
