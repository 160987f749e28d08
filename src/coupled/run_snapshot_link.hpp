/// The few words by which solver and learner ranks take a snapshot together.
///
/// First solver rank to every learner: take (with the snapshot's number, and whether to leave afterwards), then, when
/// all frames have been acknowledged, drained; at the very end of the run, end. Learner to first solver rank: its answer
/// when its part is on the disk, and now and then that a signal has come to it.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/deck/layout.hpp"

namespace tramontane {

enum class SnapshotWord : std::int32_t { take, drained, end };

struct SnapshotOrder {
  SnapshotWord word = SnapshotWord::take;
  std::int32_t stop = 0;  ///< the run ends after this snapshot
  std::int64_t number = 0;
};

struct SnapshotAnswer {
  static constexpr int kWhy = 400;
  std::int64_t number = 0;
  std::int64_t step = 0;        ///< training steps behind it
  std::int64_t is_written = 0;  ///< else `why` says why not
  char why[kWhy] = {};
};

/// Nothing here waits. Constructor and destructor are collective over `world` (the latter but after an error).
class SnapshotLink {
 public:
  SnapshotLink(MPI_Comm world, const RankLayout& ranks);
  ~SnapshotLink();
  SnapshotLink(const SnapshotLink&) = delete;
  SnapshotLink& operator=(const SnapshotLink&) = delete;

  // First solver rank.
  void tell(const SnapshotOrder& order);
  /// The answers to a number that have come so far; those to earlier ones are let go.
  const std::vector<SnapshotAnswer>& answers(std::int64_t number);
  /// Whether a learner was asked by a signal to stop.
  bool learner_was_signalled();

  // Learner ranks.
  /// The next order, once.
  std::optional<SnapshotOrder> order();
  void answer(const SnapshotAnswer& answer);
  /// Passes a signal on, once.
  void tell_of_signal();

 private:
  template <class Plain>
  void send(int to, int tag, const Plain& value);

  struct Outgoing {
    std::vector<std::byte> bytes;
    MPI_Request request = MPI_REQUEST_NULL;
  };
  RankLayout ranks_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  int exceptions_at_start_;
  std::deque<std::unique_ptr<Outgoing>> outgoing_;
  std::vector<SnapshotAnswer> answers_;
  bool signalled_ = false;  ///< first solver rank: heard of one; learner: has passed one on
};

}  // namespace tramontane
