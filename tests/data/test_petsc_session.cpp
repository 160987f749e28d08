#include <gtest/gtest.h>
#include <petscsys.h>

#include "physics/elliptic/petsc_session.hpp"

namespace tramontane {
namespace {

// One session around all tests of this program, as the program has one around a run.
class SessionEnvironment : public ::testing::Environment {
 public:
  void SetUp() override { session_ = std::make_unique<PetscSession>(); }
  void TearDown() override { session_.reset(); }

 private:
  std::unique_ptr<PetscSession> session_;
};
[[maybe_unused]] auto* const environment = ::testing::AddGlobalTestEnvironment(new SessionEnvironment);

TEST(PetscSession, NestsAndLeavesPetscRunning) {
  { const PetscSession inner; }
  PetscBool running = PETSC_FALSE, finalised = PETSC_TRUE;
  PetscInitialized(&running);
  PetscFinalized(&finalised);
  EXPECT_TRUE(running);
  EXPECT_FALSE(finalised);
}

TEST(PetscSession, StartsWithoutOtherRanks) {
  int size = 0;
  MPI_Comm_size(PETSC_COMM_WORLD, &size);
  EXPECT_EQ(size, 1);
}

TEST(PetscSession, LeavesSignalsToTheProgram) {
  PetscBool off = PETSC_FALSE, given = PETSC_FALSE;
  PetscOptionsGetBool(nullptr, nullptr, "-no_signal_handler", &off, &given);
  EXPECT_TRUE(given && off);
}

}  // namespace
}  // namespace tramontane
