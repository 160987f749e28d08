#include "ml/mpi_deadline.hpp"

#include <fmt/format.h>
#include <sched.h>

#include "kernels/errors.hpp"
#include "kernels/wait_scope.hpp"

namespace tramontane {

void wait_with_deadline(std::vector<MPI_Request>& requests, double seconds, const std::string& what, MPI_Comm comm) {
  if (requests.empty()) return;
  const WaitScope wait(what, comm, WaitScope::kAll, seconds);
  const double start = MPI_Wtime();
  for (long polls = 0;; ++polls) {
    int done = 0;
    MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE);
    if (done) return;
    if (MPI_Wtime() - start > seconds) throw RunError(fmt::format("{} did not finish within {} s", what, seconds));
    // Ranks may share a core: give it to the peer that is being waited for.
    if (polls > 100) sched_yield();
  }
}

OwnedCommunicator::OwnedCommunicator(MPI_Comm parent) {
  MPI_Comm_dup(parent, &comm_);
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
}

OwnedCommunicator::~OwnedCommunicator() {
  int finalised = 0;
  MPI_Finalized(&finalised);
  if (!finalised && comm_ != MPI_COMM_NULL) MPI_Comm_free(&comm_);
}

}  // namespace tramontane
