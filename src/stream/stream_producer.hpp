/// The solver's end of the stream: a bounded queue of frames in front of MPI.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "kernels/device_copy.hpp"
#include "kernels/fault_injection.hpp"
#include "src/stream/device_payload.hpp"
#include "src/stream/frame.hpp"
#include "src/stream/shared_memory.hpp"
#include "src/stream/stream_link.hpp"

namespace tramontane {

/// Every solver rank pushes its tiles of every sample, in the same order. Sample s goes to learner s % learners.
///
/// Which samples are dropped is the same on all solver ranks: each push all-reduces, per learner, the last sample that
/// every rank knows to be acknowledged and the last one that any rank has handed to MPI. All decisions rest on these,
/// on the samples admitted so far and on nothing else, so that all ranks take the same ones.
class StreamProducer {
 public:
  /// Collective over `comm` with every StreamConsumer. Takes the memory of options.queue
  /// frames, and has room for what learners keep and claim. Throws InputError for
  /// wrong options or roles.
  StreamProducer(MPI_Comm comm, const StreamRoles& roles, const Tiling& tiling, const StreamOptions& options);
  StreamProducer(const StreamProducer&) = delete;
  StreamProducer& operator=(const StreamProducer&) = delete;
  ~StreamProducer();

  /// Queues one sample; `payload` holds one pointer per variable (inputs, then targets) to this rank's (owned tiles, T,
  /// T) floats, free again on return. Collective over the solver ranks; info.number must grow. Returns false when this
  /// sample was dropped. Throws RunError when the deadline passes, LearnerSilent when it is a
  /// learner that does not answer (on all solver ranks together under `block`).
  bool push(const SampleInfo& info, std::span<const float* const> payload);
  /// The same without a copy: `fill` writes the variables to where the frame lies, which can be read there until the
  /// next push. It is not called for a sample that is dropped.
  using FillSample = std::function<void(std::span<float* const> variables)>;
  bool push(const SampleInfo& info, const FillSample& fill);
  /// The same with numbers that a device writes there while the caller goes on: the frame leaves in the first
  /// progress() (or drain(), or push()) that finds them there. One payload is on its way at a time: the next push waits
  /// for it.
  bool push(const SampleInfo& info, std::shared_ptr<DevicePayload> payload);
  /// Asks for the queue's pages to be locked for a device. Returns why that cannot be; empty: they are.
  std::string lock_queue();

  /// Lets MPI work: completes sends, takes acknowledgements, hands waiting frames on. Not collective, never waits;
  /// call it now and then between pushes.
  void progress();

  /// Waits until nothing is in flight (as before a checkpoint). Not collective.
  void drain();

  /// Ends the stream without its learners, who no longer answer or have given up: what is not known by every solver
  /// rank to be acknowledged counts as lost, and so does what is pushed from now on. Collective over the solver ranks
  /// alone. Messages under way are left to MPI. finish() then only returns the counts.
  void abandon();
  bool is_abandoned() const { return abandoned_; }
  /// How long a learner has owed an answer to a frame that was sent to it, s; 0: none does. This rank's own view.
  double silent_seconds() const;

  /// Ends the stream: drains, tells the learners, exchanges and checks the ledgers (check_closed). Collective over
  /// solvers and learners. Returns the counts of the whole run, those carried over with them, the same on every rank.
  Ledger finish();
  /// The counts of the whole run so far, with bytes of all solver ranks; after drain() they are what a later stream
  /// carries on (StreamOptions::carried). Collective over the solver ranks.
  Ledger totals();

  /// The counts of this stream as this rank knows them; closed at any time.
  Ledger ledger() const;
  void set_weights_version(std::int64_t version) { weights_version_ = version; }

  /// Time spent in waits of this stream, by cause.
  struct Stalls {
    double agreement = 0;  ///< for the other solver ranks' state, once a push
    double room = 0;       ///< for a learner to make room in the queue: zero under the dropping policies
    double end = 0;        ///< for the learners to take what is left, in drain() and finish()
    double total() const { return agreement + room + end; }
  };
  const Stalls& stalls() const { return stalls_; }
  double stall_seconds() const { return stalls_.total(); }
  std::size_t frame_bytes() const { return slots_.front().image.bytes().size(); }
  /// Bytes held by the queue, fixed at the start.
  std::size_t queue_bytes() const { return queue_.size() * frame_bytes(); }
  /// Learners that keep samples where they were written, in memory that they have claimed.
  int keeping_learners() const;
  /// Learners that read this rank's frames where they lie; the others get messages.
  int sharing_learners() const;
  /// Why the queue does not lie in shared memory; empty when it does, or was not to.
  const std::string& why_not_shared() const { return why_not_shared_; }

 private:
  enum class State { free, waiting, handed, kept };
  struct Slot {
    explicit Slot(FrameImage empty) : image(std::move(empty)) {}
    FrameImage image;
    HandoverMessage message;  ///< MPI reads from here
    std::int64_t sample = -1;
    State state = State::free;
    bool acknowledged = false;
    std::int64_t other = -1;   ///< once acknowledged: slot that comes back in this one's place; -1: this one
    int keeper = -1;           ///< learner that keeps it, or will when the exchange is over
    bool is_promised = false;  ///< it comes back in another one's place
    MPI_Request send = MPI_REQUEST_NULL;
    Clock::time_point since{};  ///< when it entered its state
    FrameHeader header;
    std::shared_ptr<DevicePayload> payload;  ///< on its way into the image; null: the frame is whole
  };
  struct Lane {  // what goes to one learner
    bool shares_memory = false, keeps = false;
    std::deque<int> slots;  ///< in the order of samples: handed ones, then waiting ones
    std::int64_t last_acknowledged = -1, last_handed = -1, handed = 0, sent = 0;
    std::int64_t delivered = 0, rejected = 0, unread = 0;  ///< answers
    AckMessage ack;                                        ///< MPI writes here
    MPI_Request ack_request = MPI_REQUEST_NULL;
    Clock::time_point last_answer{};
  };

  void share_queue(const FrameImage& empty_frame);
  void complete();
  void release(int& place);
  /// A frame for a sample; null when it is dropped.
  Slot* admit(const SampleInfo& info);
  void send_off(Slot& slot);
  /// What happens to a frame when all its numbers are there.
  static void finish(Slot& slot);
  /// Whether the frame is whole: it is sealed as soon as a device has written it.
  bool take_payload(Slot& slot);
  void await_payload();
  void hand_over();
  void take_ack(int learner);
  /// Brings the solver ranks to one view; true when some rank's deadline has passed.
  bool agree(bool late);
  bool is_full() const { return static_cast<int>(admitted_.size()) >= options_.queue; }
  void wait_for_room();
  void drop_oldest();
  void drop(std::int64_t sample);
  Ledger end_with_learners();
  Slot& free_slot();
  static void spoil(FrameImage& image, const FrameHeader& header, Fault fault);
  bool empty() const;
  bool late(Clock::time_point start) const;
  [[noreturn]] void throw_stuck(Clock::time_point start) const;

  StreamOptions options_;
  StreamLink link_;
  std::unique_ptr<SharedMemory> memory_;  ///< of the slots' images; null: they have their own
  std::string why_not_shared_;
  std::vector<std::unique_ptr<PageLock>> page_locks_;  ///< of memory_, by runs of slots whose pages are there
  std::vector<Slot> slots_;                            ///< ours, and behind them those that learners keep at the start
  std::vector<int> queue_;                             ///< the slots that are ours now
  std::vector<FrameImage> pristine_;                   ///< one, for fault tests only
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::deque<std::int64_t> admitted_;  ///< samples not known by all ranks to be acknowledged: the same on all ranks
  std::vector<std::int64_t> agreed_acknowledged_, agreed_handed_;
  Ledger ledger_;
  std::int64_t last_pushed_ = -1, weights_version_ = 0;
  Stalls stalls_;
  bool finished_ = false, abandoned_ = false;
};

}  // namespace tramontane
