/// Starts and ends PETSc.
#pragma once

namespace tramontane {

/// While one of these lives PETSc is ready for use on this rank. The first session initialises PETSc, unless somebody
/// else has; the last one to go finalises what it initialised. Sessions may be nested, opened one after another, and
/// opened on some ranks only: PETSC_COMM_WORLD is set to MPI_COMM_SELF, so that starting PETSc is not collective and
/// no rank waits for another (objects may still be made on any communicator whose ranks all hold a session).
///
/// PETSc's signal handler stays off: the program's own handler turns signals into checkpoints. PETSc's errors are not
/// printed but thrown as RunError by the code that calls PETSc. Options come from the environment variable
/// PETSC_OPTIONS and from argv; those of the project's solvers start with `-tramontane_`.
///
/// MPI must be initialised before, and finalised after, the last session. Not safe to open from two threads at once.
class PetscSession {
 public:
  /// argc, argv: where PETSc looks for options; may be left out. Throws RunError when PETSc does not start.
  explicit PetscSession(int argc = 0, char** argv = nullptr);
  ~PetscSession();
  PetscSession(const PetscSession&) = delete;
  PetscSession& operator=(const PetscSession&) = delete;
};

}  // namespace tramontane
