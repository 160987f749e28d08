/// Owners for PETSc objects and the check of PETSc's return codes. Only for .cpp files: it includes PETSc.
#pragma once

#include <petscksp.h>

#include <memory>
#include <string>

#include "kernels/errors.hpp"

namespace tramontane::petsc {

/// Throws RunError with PETSc's own words when a PETSc call failed.
inline void check(PetscErrorCode code, const char* what) {
  if (code == 0) return;
  const char* text = nullptr;
  PetscErrorMessage(code, &text, nullptr);
  throw RunError(std::string("PETSc could not ") + what + ": " + (text ? text : "unknown error") + " (code " +
                 std::to_string(code) + ")");
}

/// Sets a PETSc option unless the user has.
inline void set_default(const char* name, const char* value) {
  PetscBool given = PETSC_FALSE;
  check(PetscOptionsHasName(nullptr, nullptr, name, &given), "look an option up");
  if (!given) check(PetscOptionsSetValue(nullptr, name, value), "set an option");
}

struct Destroy {
  void operator()(Mat m) const { MatDestroy(&m); }
  void operator()(Vec v) const { VecDestroy(&v); }
  void operator()(KSP k) const { KSPDestroy(&k); }
  void operator()(MatNullSpace s) const { MatNullSpaceDestroy(&s); }
};
using Matrix = std::unique_ptr<std::remove_pointer_t<Mat>, Destroy>;
using Vector = std::unique_ptr<std::remove_pointer_t<Vec>, Destroy>;
using Solver = std::unique_ptr<std::remove_pointer_t<KSP>, Destroy>;
using NullSpace = std::unique_ptr<std::remove_pointer_t<MatNullSpace>, Destroy>;

}  // namespace tramontane::petsc
