/// What both ends of a stream share: roles, options, the communicator, and waits that end.
#pragma once

#include <mpi.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "kernels/errors.hpp"
#include "src/stream/ledger.hpp"
#include "src/stream/when_full.hpp"

namespace tramontane {

/// Who does what, by rank of the communicator that the stream is made on. The lists are disjoint.
struct StreamRoles {
  std::vector<int> solvers, learners;
};

/// Samples on the way to one learner, unless the options say otherwise.
inline constexpr int kStreamCredits = 2;

struct StreamOptions {
  int queue = 8;  ///< samples a solver rank can hold; their memory is taken at the start
  int credits =
      kStreamCredits;  ///< samples on the way to one learner and not acknowledged; also its receive buffers (<= queue)
  WhenFull when_full = WhenFull::block;
  double deadline_seconds = 300;  ///< longest wait for another rank
  bool share_memory = true;       ///< frames lie in shared memory where ranks are on one machine; false: messages only
  int keep = 0;  ///< of a learner: samples that it would leave where the solver wrote them (StreamConsumer::lend)
  std::string run_id;
  std::int64_t first_sample = 0;  ///< samples begin with this number, as in a run that goes on
  Ledger carried;                 ///< totals of the parts of the run before this stream, with nothing in flight
  /// For fault tests: called with the sample number and the finished frame before it is sent; returns how many bytes
  /// to send.
  std::function<std::size_t(std::int64_t, std::span<std::byte>)> tamper;
  /// Called on a learner for every sample that it rejects, with the sample and what is wrong with which rank's frame.
  std::function<void(const std::string&)> on_rejection;
};

/// Throws InputError unless the numbers make sense.
void check(const StreamOptions& options);

using Clock = std::chrono::steady_clock;
inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// A wait of the stream was longer than its deadline.
struct StreamLate : RunError {
  using RunError::RunError;
};
/// A solver rank has waited for a learner longer than the deadline.
struct LearnerSilent : RunError {
  using RunError::RunError;
};

/// Gives the processor away between two looks at MPI: to whoever wants it at first, then for longer. The first part is
/// longer than a frame takes, since waking up from the shortest sleep takes some 60 us, and a long message moves a few
/// kilobytes at each look.
class Backoff {
 public:
  /// @param frame_bytes what may be on its way: its time at 1 GB/s is added to the first part
  explicit Backoff(std::size_t frame_bytes = 0) : awake_(300e-6 + 1e-9 * static_cast<double>(frame_bytes)) {}
  void pause();

 private:
  double awake_;  ///< s
  int looks_ = 0;
  Clock::time_point start_ = Clock::now();
};

/// Message tags of the stream's own communicator.
enum StreamTag : int { kFrameTag = 1, kAckTag = 2, kEndTag = 3 };

/// What a learner answers for a sample. `count` (how many it had answered before) is what the answer is matched by: the
/// number in a bad frame proves nothing.
enum class Outcome : std::int64_t { delivered = 0, rejected = 1, unread = 2 };
struct AckMessage {
  std::int64_t sample = -1;  ///< -1 when no frame told
  std::int64_t count = 0;
  Outcome outcome = Outcome::delivered;
  std::int64_t slot =
      -1;  ///< the solver's to fill again, in the place of the frame's, which the learner keeps; -1: that
};
/// What travels in the place of a frame that lies in memory shared by both ranks.
struct HandoverMessage {
  std::int64_t slot = -1;  ///< place in the solver rank's shared memory
  std::int64_t bytes = 0;  ///< of the frame
};
/// Where a solver rank's queue lies, for ranks of the same machine.
struct QueueOffer {
  std::array<char, 48> name{};   ///< of the shared memory; empty: there is none
  std::int64_t bytes = 0;        ///< of the whole memory
  std::int64_t first_kept = -1;  ///< slot from which on it is for what learners keep; -1: it is not
};
/// Distance between the frames of a shared queue: whole pages.
inline std::size_t slot_stride(std::size_t frame_bytes) {
  return (frame_bytes + 4095) / 4096 * 4096;
}
enum Attachment : std::int64_t {
  kMessages = 0,      ///< the queue is out of reach
  kReads = 1,         ///< the learner reads frames in the queue
  kReadsAndKeeps = 2  ///< and has claimed the memory of the samples that it keeps there
};
/// The last message of a solver rank to a learner.
struct EndMessage {
  std::int64_t samples = 0;   ///< handed to this learner
  std::int64_t produced = 0;  ///< in the whole stream
};

/// The stream's private communicators. Its constructor is collective over `comm`.
class StreamLink {
 public:
  /// Throws InputError on every rank when the roles overlap, repeat or leave the communicator.
  StreamLink(MPI_Comm comm, const StreamRoles& roles, double deadline_seconds);
  StreamLink(const StreamLink&) = delete;
  StreamLink& operator=(const StreamLink&) = delete;
  ~StreamLink();

  MPI_Comm comm() const { return comm_; }       ///< solvers first, then learners; MPI_COMM_NULL without a role
  MPI_Comm side_comm() const { return side_; }  ///< the ranks of this rank's own role
  int solvers() const { return static_cast<int>(roles_.solvers.size()); }
  int learners() const { return static_cast<int>(roles_.learners.size()); }
  int solver_index() const { return rank_ < solvers() ? rank_ : -1; }
  int learner_index() const { return rank_ >= solvers() ? rank_ - solvers() : -1; }
  /// Ranks in comm().
  int solver_rank(int solver) const { return solver; }
  int learner_rank(int learner) const { return solvers() + learner; }
  int learner_of(std::int64_t sample) const { return static_cast<int>(sample % learners()); }
  double deadline_seconds() const { return deadline_; }

  /// "learner rank 3": by the rank of the communicator the stream was made on.
  std::string solver_name(int solver) const { return "solver rank " + std::to_string(roles_.solvers[solver]); }
  std::string learner_name(int learner) const { return "learner rank " + std::to_string(roles_.learners[learner]); }
  std::string my_name() const;

  /// Waits for a request while calling `meanwhile`; past the deadline throws RunError("<who> has waited ... <what>").
  void wait(MPI_Request& request, const std::string& what, const std::function<void()>& meanwhile = {}) const;
  /// The RunError of a wait that began at `start`.
  [[noreturn]] void throw_late(const std::string& what, Clock::time_point start) const;

  /// All-reduce over one of the two communicators that ends by the deadline, as wait() does.
  void allreduce(MPI_Comm comm, std::vector<std::int64_t>& values, MPI_Op op, const std::string& what,
                 const std::function<void()>& meanwhile = {}) const;

  /// Checks that both sides have built the same frames: digest of the own template per solver rank; learners give one
  /// per solver rank, solvers only their own (others 0). Collective over comm(); throws RunError on every rank.
  void check_templates(const std::vector<std::int64_t>& digests) const;

  /// Samples that every learner would keep, by learner. Collective over comm(); solvers give 0.
  std::vector<std::int64_t> exchange_keep(std::int64_t mine) const;
  /// What every solver rank offers. Collective over comm(); learners offer nothing.
  std::vector<QueueOffer> exchange_offers(const QueueOffer& mine) const;
  /// Which learner has attached to which solver rank's queue, by solver * learners() + learner: an Attachment.
  /// Collective over comm(); learners tell by solver, solvers give nothing.
  std::vector<std::int64_t> exchange_attached(const std::vector<std::int64_t>& mine) const;

  /// Totals of both sides at the end: the solvers' common counts (RunError when two of them differ) and the learners'
  /// sums. Collective over comm().
  struct Totals {
    Ledger producers, learners;
  };
  Totals exchange(const Ledger& mine) const;

  /// After this the destructor may free the communicators: no message is on the way.
  void set_quiet() { quiet_ = true; }

 private:
  StreamRoles roles_;
  double deadline_;
  MPI_Comm comm_ = MPI_COMM_NULL, side_ = MPI_COMM_NULL;
  int rank_ = -1;
  bool quiet_ = false;
};

}  // namespace tramontane
