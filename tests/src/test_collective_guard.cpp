// Errors of one rank reach all ranks, and nothing hangs.
#include <gtest/gtest.h>
#include <mpi.h>

#include "kernels/errors.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {
namespace {

int world_rank() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}
int world_size() {
  int size = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  return size;
}

TEST(ParallelGuard, PassesWhenNoRankFails) {
  int calls = 0;
  EXPECT_NO_THROW(collective_guard(MPI_COMM_WORLD, [&] { ++calls; }));
  EXPECT_EQ(calls, 1);
}

TEST(ParallelGuard, EveryRankThrowsTheErrorOfTheLowestThatFailed) {
  for (int failing = 0; failing < world_size(); ++failing) {
    std::string text;
    try {
      collective_guard(MPI_COMM_WORLD, [&] {
        if (world_rank() >= failing) throw InputError("rank " + std::to_string(world_rank()) + " has no file");
      });
    } catch (const InputError& error) {
      text = error.what();
    }
    EXPECT_EQ(text, "rank " + std::to_string(failing) + " has no file");
  }
}

TEST(ParallelGuard, KindsOfErrorsAreKept) {
  const int last = world_size() - 1;
  EXPECT_THROW(collective_guard(MPI_COMM_WORLD,
                                [&] {
                                  if (world_rank() == last) throw RunError("x");
                                }),
               RunError);
  EXPECT_THROW(collective_guard(MPI_COMM_WORLD,
                                [&] {
                                  if (world_rank() == last) throw std::out_of_range("x");
                                }),
               std::runtime_error);
}

TEST(ParallelCommonEnd, AllRanksReturnTheSameCode) {
  EXPECT_EQ(run_to_common_end(MPI_COMM_WORLD, [] { return 0; }), 0);
  const int last = world_size() - 1;
  EXPECT_EQ(run_to_common_end(MPI_COMM_WORLD, [&] { return world_rank() == last ? kExitStopped : 0; }), kExitStopped);
  EXPECT_EQ(run_to_common_end(MPI_COMM_WORLD,
                              [&]() -> int {
                                if (world_rank() == last) throw InputError("a test error that is meant to be printed");
                                return 0;
                              }),
            kExitBadInput);
  EXPECT_EQ(run_to_common_end(MPI_COMM_WORLD, []() -> int { throw RunError("another test error, printed once"); }),
            kExitRunFailed);
}

// Started by Program.LoneFailureEndsTheJob in a job of its own, which it ends.
TEST(DISABLED_LoneFailure, OtherRanksWaitForOneThatFailed) {
  run_to_common_end(
      MPI_COMM_WORLD,
      []() -> int {
        if (world_rank() == 1) throw InputError("rank 1 alone has no file");
        MPI_Barrier(MPI_COMM_WORLD);
        MPI_Barrier(MPI_COMM_WORLD);
        return 0;
      },
      0.5);
  FAIL() << "the job went on";
}

}  // namespace
}  // namespace tramontane
