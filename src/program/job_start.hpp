/// How a job begins: one program or two (MPMD) come to one plan of who does what.
#pragma once

#include <mpi.h>

#include <string>
#include <vector>

#include "src/program/commands.hpp"

namespace tramontane {

/// Reads the command line and the deck (each program's by its first rank), makes sure that all programs of the job mean
/// the same, deals roles and GPUs, and makes the job's communicator. Needs neither Kokkos nor PETSc, so that a GPU can be
/// chosen before they start. Collective over `world`; throws the same error on every rank.
CommandContext begin_job(const std::vector<char*>& arguments, MPI_Comm world);

/// What every program of a job says of itself. Two builds may meet in one job, so this is compared before anything else.
struct ProgramFacts {
  std::string version;
  Command command = Command::info;
  Role role = Role::any;
  bool prints_only = false;  ///< --help and the like
};
/// Throws InputError, in one sentence, when the programs, by MPI's rank, can not make one job.
void require_one_job(const std::vector<ProgramFacts>& programs);

/// Lines "key = value" of all that the programs of one job must share: the deck but for surrogate.backend, since one
/// build may have a GPU and the other not.
std::string shared_settings(const Deck& deck);

}  // namespace tramontane
