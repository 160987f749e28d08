/// Errors that one rank finds are made common to all, so that no rank is left waiting.
#pragma once

#include <mpi.h>

#include <functional>
#include <string>

namespace tramontane {

/// Runs `body` on every rank of `comm`, then agrees on how it ended. When it threw on any rank, every rank throws the
/// same kind of error (InputError, RunError, or std::runtime_error for anything else) with the text of the lowest rank
/// that failed. Collective over `comm`. The body must not wait for other ranks after a point where it can throw.
void collective_guard(MPI_Comm comm, const std::function<void()>& body);

constexpr double kPatienceSeconds = 20;

/// Runs a whole command on every rank and returns the exit code that all ranks agree on: the lowest failing rank's, or
/// the highest code that was returned. An error is printed once, by the lowest rank that failed. A rank that failed
/// alone waits `patience_seconds` (and up to ten more, by rank) for the others to end too; when they do not come, it
/// prints its error and ends the whole job through MPI_Abort, so that nothing hangs.
int run_to_common_end(MPI_Comm comm, const std::function<int()>& body, double patience_seconds = kPatienceSeconds);

}  // namespace tramontane
