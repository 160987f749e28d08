/// What a rank waits for, for whom and since when: kept by its main thread, read by its watchdog
/// (docs/design/watchdog.md).
#pragma once

#include <mpi.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace tramontane {

/// A wait of the main thread, from construction to destruction; waits nest. Put one around every loop that polls for
/// another rank. Blocking MPI calls, those inside HDF5, PnetCDF and PETSc among them, are waits by themselves
/// (src/mpi_waits.cpp): around them a scope adds the name. Neither throws nor communicates; calls of other threads do
/// nothing. Cost: docs/design/watchdog.md.
class WaitScope {
 public:
  static constexpr int kAll = -1;
  /// Limit of a wait for something outside the job, that ends itself.
  static constexpr double kOutside = std::numeric_limits<double>::infinity();

  /// @param what what is waited for, in words that fit "waits for <what>"; the first 63 bytes are kept
  /// @param comm whose ranks are waited for; MPI_COMM_NULL: not known here, an outer or inner scope may know
  /// @param peer the one rank of `comm` (of the remote group of an intercommunicator) that is waited for, or kAll
  /// @param own_limit s; when the waiting code ends the wait itself after a time: the watchdog leaves it that and some
  ///        seconds more. 0: the watchdog's own deadline.
  explicit WaitScope(std::string_view what, MPI_Comm comm = MPI_COMM_NULL, int peer = kAll, double own_limit = 0);
  ~WaitScope();
  WaitScope(const WaitScope&) = delete;
  WaitScope& operator=(const WaitScope&) = delete;

 private:
  bool counts_;
};

/// Tells the watchdog that the main thread gets on: what it did last and its number, for instance ("step", 412). `what`
/// has no blanks and must live for ever (a literal). It is also a place where a fault can be ordered
/// (kernels/fault_injection.hpp).
void sign_of_life(const char* what, std::int64_t number = 0);

/// From now on the calling thread is the main thread. Until the first call it is the thread that made the first scope.
void watch_this_thread();
/// Ranks are named by their number in `job` from now on. Only ranks of MPI_COMM_WORLD are known. Local.
void name_ranks_by(MPI_Comm job);
/// To be called when a communicator is freed: its handle may come again for another one.
void forget_communicator(MPI_Comm comm);

/// A moment of the main thread, as another thread sees it.
struct WaitPicture {
  using Time = std::chrono::steady_clock::time_point;
  struct Wait {
    std::string what;
    std::vector<int> ranks;  ///< job ranks that are waited for, this one left out; empty: not known
    Time since;
    double own_limit = 0;  ///< s; see WaitScope
  };
  std::vector<Wait> waits;      ///< outermost first; empty: it computes
  std::string did;              ///< what it did last; empty: nothing yet
  std::int64_t did_number = 0;  ///< and its number
  Time did_at, moved_at;        ///< when; and when an outermost wait last began or ended, or a sign of life came
  std::int64_t finished = 0;    ///< waits so far
};

/// Callable from any thread; never waits for the main thread, which may hang.
WaitPicture wait_picture();

}  // namespace tramontane
