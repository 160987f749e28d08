#include "physics/elliptic/petsc_session.hpp"

#include <petscsys.h>

#include "physics/elliptic/petsc_handles.hpp"

namespace tramontane {

namespace {
int open_sessions = 0;
bool started_here = false;
}  // namespace

PetscSession::PetscSession(int argc, char** argv) {
  if (open_sessions == 0) {
    PetscBool initialised = PETSC_FALSE;
    PetscInitialized(&initialised);
    if (!initialised) {
      PETSC_COMM_WORLD = MPI_COMM_SELF;
      petsc::check(PetscOptionsSetValue(nullptr, "-no_signal_handler", "true"), "set its options");
      petsc::check(PetscInitialize(&argc, &argv, nullptr, nullptr), "start");
      started_here = true;
    }
    petsc::check(PetscPushErrorHandler(PetscReturnErrorHandler, nullptr), "set its error handler");
  }
  ++open_sessions;
}

PetscSession::~PetscSession() {
  if (--open_sessions > 0) return;
  PetscPopErrorHandler();
  if (started_here) PetscFinalize();
  started_here = false;
}

}  // namespace tramontane
