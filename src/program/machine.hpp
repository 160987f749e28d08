/// Finds out where the ranks of a job run.
#pragma once

#include <mpi.h>

#include "src/deck/placement.hpp"

namespace tramontane {

/// Nodes, places on them and GPUs of all ranks, the same on every rank. Collective over `world`.
Machine find_machine(MPI_Comm world);

}  // namespace tramontane
