// The registry of waits: what another thread sees of the main thread.
#include <gtest/gtest.h>
#include <mpi.h>

#include <atomic>
#include <thread>

#include "kernels/wait_scope.hpp"

namespace tramontane {
namespace {

double age(WaitPicture::Time time) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - time).count();
}

TEST(WaitScope, IsSeenInsideAndGoneAfter) {
  const std::int64_t before = wait_picture().finished;
  {
    const WaitScope outer("the frames of sample 12", MPI_COMM_NULL, WaitScope::kAll, 7.5);
    const WaitScope inner("MPI_Wait");
    const WaitPicture picture = wait_picture();
    ASSERT_EQ(picture.waits.size(), 2u);
    EXPECT_EQ(picture.waits[0].what, "the frames of sample 12");
    EXPECT_EQ(picture.waits[0].own_limit, 7.5);
    EXPECT_EQ(picture.waits[1].what, "MPI_Wait");
    EXPECT_EQ(picture.waits[1].own_limit, 0);
    EXPECT_TRUE(picture.waits[0].ranks.empty());
    EXPECT_LE(picture.waits[0].since, picture.waits[1].since);
    EXPECT_EQ(picture.moved_at, picture.waits[0].since);
  }
  EXPECT_TRUE(wait_picture().waits.empty());
  EXPECT_EQ(wait_picture().finished, before + 2);
}

TEST(WaitScope, KeepsTextsOfEveryLength) {
  for (std::size_t length : {0u, 1u, 7u, 8u, 9u, 55u, 56u, 57u, 62u, 63u, 64u, 200u}) {
    const std::string text(length, 'x');
    { const WaitScope longest(std::string(63, 'y')); }  // what an earlier scope left must not show
    const WaitScope scope(text);
    EXPECT_EQ(wait_picture().waits.at(0).what, text.substr(0, 63)) << length;
  }
}

TEST(WaitScope, NestsDeeperThanItKeeps) {
  std::vector<std::unique_ptr<WaitScope>> scopes;
  for (int k = 0; k < 40; ++k) scopes.push_back(std::make_unique<WaitScope>(std::to_string(k)));
  EXPECT_EQ(wait_picture().waits.size(), 16u);
  EXPECT_EQ(wait_picture().waits.back().what, "15");
  while (!scopes.empty()) scopes.pop_back();
  EXPECT_TRUE(wait_picture().waits.empty());
}

TEST(WaitScope, SignsOfLifeCountAsMoves) {
  const WaitScope scope("a long wait in which something happens");
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  sign_of_life("step", 41);
  const WaitPicture picture = wait_picture();
  EXPECT_EQ(picture.did, "step");
  EXPECT_EQ(picture.did_number, 41);
  EXPECT_EQ(picture.moved_at, picture.did_at);
  EXPECT_GT(picture.moved_at, picture.waits.at(0).since);
  EXPECT_LT(age(picture.moved_at), 60);
}

TEST(WaitScope, OtherThreadsDoNotCount) {
  watch_this_thread();
  std::thread([] {
    const WaitScope scope("nobody's business");
    sign_of_life("other-thread", 1);
    EXPECT_TRUE(wait_picture().waits.empty());
  }).join();
  EXPECT_NE(wait_picture().did, "other-thread");
}

// A reader never sees a mixture of two moments: the texts of both scopes always belong together.
TEST(WaitScope, IsReadAsOneMoment) {
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    while (!stop) {
      const WaitPicture picture = wait_picture();
      if (picture.waits.size() == 2) {
        EXPECT_EQ(picture.waits[0].what + "!", picture.waits[1].what);
      }
    }
  });
  for (int k = 0; k < 20000; ++k) {
    const std::string name = k % 2 ? "an even longer name than that" : "short";
    const WaitScope outer(name);
    const WaitScope inner(name + "!");
  }
  stop = true;
  reader.join();
}

// Ranks of a communicator with another order are named by their number in the job.
TEST(ParallelWaitScope, NamesRanksByTheJob) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Comm reversed;
  MPI_Comm_split(MPI_COMM_WORLD, 0, -rank, &reversed);
  name_ranks_by(MPI_COMM_WORLD);
  std::vector<int> others;
  for (int r = size - 1; r >= 0; --r)
    if (r != rank) others.push_back(r);
  {
    const WaitScope all("everybody", reversed);
    const WaitScope one("one", reversed, 0);
    EXPECT_EQ(wait_picture().waits.at(0).ranks, others);
    EXPECT_EQ(wait_picture().waits.at(1).ranks, std::vector<int>{size - 1});
  }
  name_ranks_by(reversed);
  {
    const WaitScope one("one", reversed, 0);
    EXPECT_EQ(wait_picture().waits.at(0).ranks, std::vector<int>{0});
  }
  name_ranks_by(MPI_COMM_WORLD);
  MPI_Comm_free(&reversed);
}

// A handle of a freed communicator may come again for another one: its ranks must be asked for anew.
TEST(ParallelWaitScope, ForgetsFreedCommunicators) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  for (int round = 0; round < 8; ++round) {
    // By turns all ranks, and this one alone.
    MPI_Comm comm;
    MPI_Comm_split(MPI_COMM_WORLD, round % 2 ? rank : 0, rank, &comm);
    {
      const WaitScope scope("round", comm);
      EXPECT_EQ(wait_picture().waits.at(0).ranks.size(), round % 2 ? 0u : static_cast<std::size_t>(size - 1));
    }
    MPI_Comm_free(&comm);
  }
}

// Calls of MPI are waits without being told (src/mpi_waits.cpp is part of this program).
TEST(ParallelWaitScope, MpiCallsAreWaits) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  watch_this_thread();
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    MPI_Barrier(MPI_COMM_WORLD);
    return;
  }
  // The other ranks stand in the barrier meanwhile, and a thread of theirs looks.
  std::atomic<bool> seen{false}, stop{false};
  std::thread watcher([&] {
    while (!seen && !stop) {
      const WaitPicture picture = wait_picture();
      seen = picture.waits.size() == 1 && picture.waits[0].what == "MPI_Barrier" &&
             picture.waits[0].ranks.size() == static_cast<std::size_t>(size - 1);
    }
  });
  MPI_Barrier(MPI_COMM_WORLD);
  stop = true;
  watcher.join();
  EXPECT_TRUE(seen);
}

}  // namespace
}  // namespace tramontane
