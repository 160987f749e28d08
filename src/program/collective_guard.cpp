#include "src/program/collective_guard.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <thread>

#include "kernels/errors.hpp"
#include "kernels/wait_scope.hpp"
#include "src/program/watchdog.hpp"

namespace tramontane {
namespace {

/// Ranks that failed together, all with the same error, end the job one after the other, so that the first one's words
/// stay the only ones: seconds between neighbours (Open MPI kills a second after it asked to end), and how many.
constexpr double kStagger = 2.0;
constexpr int kStaggeredRanks = 5;

constexpr int kUnexpected = 1;  // an exception that is neither InputError nor RunError

/// How a body ended: exit code (0 when it did not throw) and text of the error.
struct Outcome {
  int code = 0;
  std::string text;
};

Outcome outcome_of(const std::function<int()>& body, int& returned) {
  try {
    returned = body();
    return {};
  } catch (const InputError& error) {
    return {kExitBadInput, error.what()};
  } catch (const RunError& error) {
    return {kExitRunFailed, error.what()};
  } catch (const std::exception& error) {
    return {kUnexpected, error.what()};
  } catch (...) {
    return {kUnexpected, "an error that carries no text"};
  }
}

/// Sends the outcome of `rank` to all.
Outcome broadcast(const Outcome& mine, int rank, MPI_Comm comm) {
  int header[2] = {mine.code, static_cast<int>(mine.text.size())};
  MPI_Bcast(header, 2, MPI_INT, rank, comm);
  std::string text = mine.text;
  text.resize(header[1]);
  MPI_Bcast(text.data(), header[1], MPI_CHAR, rank, comm);
  return {header[0], text};
}

void print_error(const std::string& text) {
  std::fprintf(stderr, "tramontane: error: %s\n", text.c_str());
  std::fflush(stderr);
}

int exit_code(const Outcome& outcome) {
  return outcome.code == kUnexpected ? kExitRunFailed : outcome.code;
}

/// Waits for a request; false when `seconds` pass first.
bool completes_within(MPI_Request& request, double seconds, MPI_Comm comm) {
  const WaitScope wait("the end of all ranks, after an error", comm, WaitScope::kAll, seconds);
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    int done = 0;
    MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    if (done) return true;
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > seconds) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace

void collective_guard(MPI_Comm comm, const std::function<void()>& body) {
  int rank = 0, size = 1, unused = 0;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &size);
  const Outcome mine = outcome_of(
      [&] {
        body();
        return 0;
      },
      unused);
  const int failed = mine.code == 0 ? size : rank;
  int lowest = size;
  const WaitScope wait("the agreement that no rank has failed", comm);
  MPI_Allreduce(&failed, &lowest, 1, MPI_INT, MPI_MIN, comm);
  if (lowest == size) return;
  const Outcome common = broadcast(mine, lowest, comm);
  if (common.code == kExitBadInput) throw InputError(common.text);
  if (common.code == kExitRunFailed) throw RunError(common.text);
  throw std::runtime_error(common.text);
}

int run_to_common_end(MPI_Comm comm, const std::function<int()>& body, double patience_seconds) {
  // A communicator of its own: what the body left unreceived on `comm` can not meet these messages.
  MPI_Comm closing;
  MPI_Comm_dup(comm, &closing);
  int rank = 0, size = 1;
  MPI_Comm_rank(closing, &rank);
  MPI_Comm_size(closing, &size);

  int returned = 0;
  const Outcome mine = outcome_of(body, returned);
  // Minimum of (failing rank, -returned code): the lowest rank that failed and the highest code.
  const int sent[2] = {mine.code == 0 ? size : rank, -returned};
  int agreed[2] = {size, 0};
  MPI_Request request;
  MPI_Iallreduce(sent, agreed, 2, MPI_INT, MPI_MIN, closing, &request);
  if (mine.code == 0) {
    // A rank that failed elsewhere ends the job if this one does not come; so this wait needs no limit of its own.
    const WaitScope wait("the end of all ranks", closing);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
  } else if (!completes_within(request, patience_seconds + kStagger * std::min(rank, kStaggeredRanks), closing)) {
    const std::string text =
        mine.text + " (on rank " + std::to_string(rank) + "; the other ranks could not be reached)";
    // It says where those are, and ends them; MPI's way is for processes without it, and for what is no failure of the
    // run.
    if (Watchdog* guard = watchdog(); guard && exit_code(mine) == kExitRunFailed) guard->end_job(text);
    print_error(text);
    MPI_Abort(MPI_COMM_WORLD, exit_code(mine));
  }
  int code = -agreed[1];
  if (agreed[0] < size) {
    const Outcome common = broadcast(mine, agreed[0], closing);
    code = exit_code(common);
    if (rank == agreed[0]) print_error(common.text);
  }
  MPI_Comm_free(&closing);
  return code;
}

}  // namespace tramontane
