// What a watched wait costs, as JSON: nanoseconds of processor time of a scope, of a sign of life, and of MPI's
// cheapest collective with and without a scope around it.
#include <mpi.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "kernels/wait_scope.hpp"

namespace {

double processor_seconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Median of rounds, ns a call.
template <class Body>
double nanoseconds(const Body& body) {
  constexpr int kRounds = 21, kCalls = 20000;
  std::vector<double> rounds;
  for (int round = 0; round < kRounds; ++round) {
    const double began = processor_seconds();
    for (int call = 0; call < kCalls; ++call) body();
    rounds.push_back(1e9 * (processor_seconds() - began) / kCalls);
  }
  std::nth_element(rounds.begin(), rounds.begin() + kRounds / 2, rounds.end());
  return rounds[kRounds / 2];
}

}  // namespace

int main(int argc, char** argv) {
  using tramontane::WaitScope;
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  int value = 0;
  const double short_name = nanoseconds([] { const WaitScope wait("MPI_Wait"); });
  const double known = nanoseconds([] { const WaitScope wait("MPI_Allreduce", MPI_COMM_WORLD); });
  const double long_name = nanoseconds(
      [] { const WaitScope wait("the agreement of all ranks that none of them has failed", MPI_COMM_WORLD); });
  const double sign = nanoseconds([] { tramontane::sign_of_life("step", 1); });
  const double bare = nanoseconds([&] { MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD); });
  const double watched = nanoseconds([&] {
    const WaitScope wait("MPI_Allreduce", MPI_COMM_WORLD);
    MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  });
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == 0)
    std::printf(
        "{\"scope_ns\": %.1f, \"scope_with_ranks_ns\": %.1f, \"scope_long_name_ns\": %.1f, \"sign_of_life_ns\": %.1f, "
        "\"allreduce_ns\": %.1f, \"watched_allreduce_ns\": %.1f}\n",
        short_name, known, long_name, sign, bare, watched);
  MPI_Finalize();
}
