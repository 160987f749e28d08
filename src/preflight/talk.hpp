/// Whether all ranks can talk, how fast, and how far their clocks are apart.
#pragma once

#include <mpi.h>

#include <string>
#include <vector>

namespace tramontane {

/// What a pair of ranks reached.
struct PairFigures {
  int a = 0, b = 0;      ///< ranks, a < b
  double latency = 0;    ///< s, half a round trip of 8 bytes, median
  double bandwidth = 0;  ///< bytes s-1, of the best of some messages of 4 MiB
};

struct TalkReport {
  std::vector<PairFigures> pairs;  ///< on rank 0, by a, then b
  bool has_all_pairs = false;      ///< else each rank with those 1, 2, 4, 8 ... further on
  bool is_undisturbed = false;     ///< one pair after the other; else many at once, as in a run
};

/// Has ranks exchange messages: every pair up to some tens of ranks, each with about 2 log2(ranks) others beyond.
/// Collective. Throws InputError on the ranks that notice, naming the pair, when a message is not there within
/// `deadline` s; MPI is of no use to the job after that.
/// @param nodes name of every rank's node, for the sentence
TalkReport try_messages(MPI_Comm comm, const std::vector<std::string>& nodes, double deadline);

/// Clock of a rank minus that of rank 0.
struct ClockOffset {
  double offset = 0, uncertainty = 0;  ///< s; the uncertainty is half the quickest round trip
};
/// By rank, on rank 0. Of several round trips the quickest counts (Cristian 1989). Collective; throws as try_messages.
std::vector<ClockOffset> clock_offsets(MPI_Comm comm, double deadline);

}  // namespace tramontane
