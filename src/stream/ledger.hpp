/// Where the samples of a stream have gone.
#pragma once

#include <cstdint>
#include <string>

namespace tramontane {

/// Counts of whole samples (bytes: of frames). On a solver rank `bytes` are its own; in totals they are summed.
struct Ledger {
  std::int64_t produced = 0;   ///< pushed by the solver
  std::int64_t delivered = 0;  ///< handed to a learner, all frames good
  std::int64_t dropped = 0;    ///< by policy when the queue was full, unread when the learner had ended, or lost
  std::int64_t in_flight = 0;  ///< waiting, on the way, or not yet acknowledged
  std::int64_t rejected = 0;   ///< a frame failed its checks
  std::int64_t bytes = 0;      ///< handed to MPI, or received
  std::int64_t lost = 0;       ///< of the dropped: under way to a learner that was lost, or made after that

  /// produced = delivered + dropped + in flight + rejected.
  bool closed() const { return produced == delivered + dropped + in_flight + rejected; }
  bool operator==(const Ledger&) const = default;
  /// Adds what an earlier part of the run has counted (a resumed stream starts from zero).
  Ledger& operator+=(const Ledger& other) {
    produced += other.produced;
    delivered += other.delivered;
    dropped += other.dropped;
    in_flight += other.in_flight;
    rejected += other.rejected;
    bytes += other.bytes;
    lost += other.lost;
    return *this;
  }
};

/// One line: "produced 9 = delivered 7 + dropped 1 + in flight 0 + rejected 1".
std::string to_string(const Ledger& ledger);

/// Throws RunError, with both ledgers in the message, unless the producers' ledger closes, nothing is in flight, and
/// the learners' total tells the same of delivered, rejected and bytes (and of no more dropped samples).
void check_closed(const Ledger& producers, const Ledger& learners);

}  // namespace tramontane
