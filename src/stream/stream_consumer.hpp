/// The learner's end of the stream: checks the frames of all solver ranks and puts samples together.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/sample.hpp"
#include "src/stream/frame.hpp"
#include "src/stream/shared_memory.hpp"
#include "src/stream/stream_link.hpp"

namespace tramontane {

/// Receives one frame per solver rank and sample, into options.credits buffers per solver rank. A sample of which a
/// frame fails its checks is rejected whole and counted. A sample is acknowledged when it is handed to the caller, so a
/// learner that stops asking stops the flow after options.credits samples.
class StreamConsumer {
 public:
  /// Collective over `comm` with every StreamProducer; tiling, run id and credits as there.
  StreamConsumer(MPI_Comm comm, const StreamRoles& roles, const Tiling& tiling, const StreamOptions& options);
  StreamConsumer(const StreamConsumer&) = delete;
  StreamConsumer& operator=(const StreamConsumer&) = delete;
  ~StreamConsumer();

  /// Puts the next sample into `into`, whose memory is used again, when all its frames are here. Never waits.
  bool poll(Sample& into) { return next(&into); }
  std::optional<Sample> poll();
  /// The next sample, or nothing when the stream has ended. Throws RunError, naming the solver ranks whose frames are
  /// missing, when neither comes within the deadline (by default that of the options).
  std::optional<Sample> wait(std::optional<double> deadline_seconds = {});
  /// @param give_up asked again and again; when it says yes, the wait ends with false
  bool wait(Sample& into, std::optional<double> deadline_seconds = {}, const std::function<bool()>& give_up = {});
  /// Whether the solver ranks have ended the stream and every sample has been taken.
  bool finished() const { return finished_; }

  /// Ends this side: samples still to come are taken and counted as dropped, then the ledgers are exchanged and checked
  /// (check_closed). Collective over solvers and learners. Returns the counts of the whole run, those carried over with
  /// them, the same on every rank.
  Ledger finish();

  /// This learner's own counts; `produced` counts the samples that have come to it.
  const Ledger& ledger() const { return ledger_; }
  /// Seconds spent in wait() without a sample at hand.
  double idle_seconds() const { return idle_seconds_; }
  /// Why the last rejected sample was rejected; empty when none was.
  const std::string& last_rejection() const { return last_rejection_; }
  /// The surrogate's version that the producers had when they made the last sample handed out.
  std::int64_t weights_version() const { return weights_version_; }
  /// Gives a sample memory in which a solver rank can fill another frame, as options.keep samples can have, if samples
  /// come whole from one solver rank on this machine; false when there is none (left). A sample that comes is then not
  /// copied: poll() and wait() exchange the memory of `into` for the frame's, and the solver fills what is given back.
  /// The sample may outlive this stream; a copy of it has memory of its own. A sample that is destroyed, or written to,
  /// takes its place along: another one is then copied.
  bool lend(Sample& sample);
  bool keeps_samples() const { return kept_bytes_ > 0; }
  std::size_t kept_bytes() const { return kept_bytes_; }  ///< of all samples that can be lent, with their frames
  /// Why options.keep samples cannot stay where they are written; empty: they can, or come from several solver ranks.
  const std::string& why_not_kept() const { return why_not_kept_; }
  /// Bytes of the receive buffers, fixed at the start: none for frames that are read where the solver rank keeps them.
  std::size_t buffer_bytes() const;
  /// Solver ranks whose frames are read where they lie.
  int sharing_solvers() const;

 private:
  struct Buffer {
    std::vector<std::byte> bytes;
    MPI_Request request = MPI_REQUEST_NULL;
    bool arrived = false;
    FrameVerdict transport;  ///< a fault that MPI itself reported
    int received = 0;        ///< bytes
  };
  struct Source {  // one solver rank
    explicit Source(const FrameLayout& layout) : reader(layout) {}
    FrameReader reader;
    std::shared_ptr<const SharedMemory> queue;  ///< null: frames come as messages; samples that lie there hold it too
    std::vector<Buffer> buffers;                ///< frame number k (counted here) lies in buffer k % credits
    EndMessage end;
    MPI_Request end_request = MPI_REQUEST_NULL;
    bool ended = false;
  };
  struct Ack {
    AckMessage message;
    MPI_Request request = MPI_REQUEST_NULL;
  };

  /// Deals with the next sample: into `into`, or as unread when that is null.
  bool next(Sample* into);
  void attach_queues();
  bool claim_spares(const QueueOffer& offer, const std::vector<std::int64_t>& keep);
  void lend(Sample& sample, std::int64_t slot) const;
  /// The slot that a sample lies in; -1: memory of its own.
  std::int64_t lent_slot(const Sample* sample) const;
  static HandoverMessage message_in(const Buffer& buffer);
  void post(int solver, Buffer& buffer);
  /// Where the frame lies that has come into a buffer, and how long it is.
  std::span<const std::byte> image_in(const Source& source, const Buffer& buffer) const;
  bool all_arrived();
  void take_ends();
  /// Checks the frames of the sample at hand; fills in their common header (the number alone when one is bad) and, when
  /// they are good, the sample.
  FrameVerdict judge(FrameHeader& header, Sample* into) const;
  void acknowledge(std::int64_t sample, Outcome outcome, std::int64_t returned);
  void clear_acks();
  Buffer& current(Source& source) const { return source.buffers[taken_ % options_.credits]; }
  std::string missing() const;

  StreamOptions options_;
  Tiling tiling_;
  StreamLink link_;
  std::vector<std::unique_ptr<Source>> sources_;
  std::deque<std::unique_ptr<Ack>> acks_;
  std::vector<std::int64_t> spares_;  ///< slots that no sample has yet
  std::size_t kept_bytes_ = 0;
  std::string why_not_kept_;
  Ledger ledger_;
  std::int64_t taken_ = 0;  ///< samples dealt with
  std::int64_t last_sample_ = -1, weights_version_ = 0;
  std::string last_rejection_;
  double idle_seconds_ = 0;
  bool finished_ = false;
};

}  // namespace tramontane
