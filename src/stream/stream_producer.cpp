#include "src/stream/stream_producer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <numeric>
#include <span>
#include <utility>

#include "kernels/errors.hpp"
#include "kernels/wait_scope.hpp"

namespace tramontane {

namespace {

/// Adds the time of its life to a counter.
class Stopwatch {
 public:
  explicit Stopwatch(double& total) : total_(total) {}
  ~Stopwatch() { total_ += seconds_since(start_); }
  Clock::time_point start() const { return start_; }

 private:
  double& total_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace

StreamProducer::StreamProducer(MPI_Comm comm, const StreamRoles& roles, const Tiling& tiling,
                               const StreamOptions& options)
    : options_(options), link_(comm, roles, options.deadline_seconds) {
  check(options);
  options_.credits = std::min(options_.credits, options_.queue);
  if (link_.solver_index() < 0) throw RunError("stream: a rank that is no solver rank made a producer");
  if (tiling.ranks != link_.solvers())
    throw RunError(fmt::format("stream: a tiling of {} ranks for {} solver ranks", tiling.ranks, link_.solvers()));
  const FrameLayout layout{tiling, link_.solver_index(), options_.run_id};
  const FrameReader reader(layout);
  const FrameImage empty_frame(layout);
  if (empty_frame.bytes().size() > static_cast<std::size_t>(INT_MAX))
    throw InputError(fmt::format("a stream frame of {} bytes is too long for one message: raise ranks.solver",
                                 empty_frame.bytes().size()));
  last_pushed_ = options_.first_sample - 1;
  if (options_.tamper) pristine_.push_back(empty_frame);
  agreed_acknowledged_.assign(link_.learners(), -1);
  agreed_handed_.assign(link_.learners(), -1);
  std::vector<std::int64_t> digests(link_.solvers(), 0);
  digests[link_.solver_index()] = static_cast<std::int64_t>(reader.template_digest());
  link_.check_templates(digests);
  for (int l = 0; l < link_.learners(); ++l) lanes_.push_back(std::make_unique<Lane>());
  share_queue(empty_frame);
  for (int l = 0; l < link_.learners(); ++l) {
    Lane& lane = *lanes_[l];
    lane.last_answer = Clock::now();
    MPI_Irecv(&lane.ack, sizeof lane.ack, MPI_BYTE, link_.learner_rank(l), kAckTag, link_.comm(), &lane.ack_request);
  }
}

/// Puts the queue where learners of this machine can read it. Whoever cannot gets messages, so that nothing here can
/// fail. Behind the queue is room for what learners keep, which they claim themselves, so that it lies near them.
void StreamProducer::share_queue(const FrameImage& empty_frame) {
  const std::vector<std::int64_t> keep = link_.exchange_keep(0);
  const auto own = static_cast<std::size_t>(options_.queue);
  const std::size_t all = own + static_cast<std::size_t>(std::accumulate(keep.begin(), keep.end(), std::int64_t{0}));
  const std::size_t stride = slot_stride(empty_frame.bytes().size());
  QueueOffer offer;
  if (options_.share_memory && all > own) {
    memory_ = SharedMemory::create(all * stride, own * stride, why_not_shared_);
    if (memory_) offer.first_kept = options_.queue;
  }
  if (options_.share_memory && !memory_) memory_ = SharedMemory::create(own * stride, own * stride, why_not_shared_);
  if (memory_) why_not_shared_.clear();
  if (memory_) {
    memory_->name().copy(offer.name.data(), offer.name.size() - 1);
    offer.bytes = static_cast<std::int64_t>(memory_->size());
  }
  link_.exchange_offers(offer);
  const std::vector<std::int64_t> attached = link_.exchange_attached({});
  if (memory_) memory_->unlink();
  std::size_t there = own;  // and what the last one that keeps samples has claimed
  std::size_t end = own;
  for (int l = 0; l < link_.learners(); ++l) {
    const auto how = attached[static_cast<std::size_t>(link_.solver_index() * link_.learners() + l)];
    lanes_[l]->shares_memory = how != kMessages;
    lanes_[l]->keeps = how == kReadsAndKeeps;
    end += static_cast<std::size_t>(keep[static_cast<std::size_t>(l)]);
    if (lanes_[l]->keeps) there = end;
  }
  slots_.reserve(there);  // MPI sends from slots: they stay where they are
  const auto image_of_slot = [&] { return FrameImage(empty_frame, memory_->data() + slots_.size() * stride); };
  for (int k = 0; k < options_.queue; ++k) {
    if (memory_)
      slots_.emplace_back(image_of_slot());
    else
      slots_.emplace_back(FrameImage(empty_frame));
    queue_.push_back(k);
  }
  for (int l = 0; l < link_.learners(); ++l)
    for (std::int64_t k = 0; slots_.size() < there && k < keep[static_cast<std::size_t>(l)]; ++k) {
      // Memory that was not claimed is not touched.
      slots_.emplace_back(lanes_[l]->keeps ? image_of_slot() : FrameImage());
      slots_.back().state = State::kept;
      if (lanes_[l]->keeps) slots_.back().keeper = l;
    }
}

int StreamProducer::keeping_learners() const {
  return static_cast<int>(std::ranges::count_if(lanes_, [](const auto& lane) { return lane->keeps; }));
}

int StreamProducer::sharing_learners() const {
  return static_cast<int>(std::ranges::count_if(lanes_, [](const auto& lane) { return lane->shares_memory; }));
}

StreamProducer::~StreamProducer() {
  for (auto& lane : lanes_) {
    if (lane->ack_request == MPI_REQUEST_NULL) continue;
    MPI_Cancel(&lane->ack_request);
    MPI_Wait(&lane->ack_request, MPI_STATUS_IGNORE);
  }
  // A send that is still open after a failed run reads from its frame: that memory is left to MPI. Or to a device that
  // does not end a copy.
  bool in_use = std::any_of(slots_.begin(), slots_.end(), [](const Slot& s) { return s.send != MPI_REQUEST_NULL; });
  try {
    await_payload();
  } catch (const std::exception&) {
    in_use = true;
  }
  if (!in_use) return;
  new std::vector<std::unique_ptr<PageLock>>(std::move(page_locks_));
  new std::vector<Slot>(std::move(slots_));
  (void)memory_.release();
}

bool StreamProducer::push(const SampleInfo& info, std::span<const float* const> payload) {
  Slot* slot = admit(info);
  if (slot == nullptr) return false;
  slot->image.patch(slot->header, payload);
  finish(*slot);
  send_off(*slot);
  return true;
}

bool StreamProducer::push(const SampleInfo& info, const FillSample& fill) {
  Slot* slot = admit(info);
  if (slot == nullptr) return false;
  fill(slot->image.payload());
  slot->image.seal(slot->header);
  finish(*slot);
  send_off(*slot);
  return true;
}

bool StreamProducer::push(const SampleInfo& info, std::shared_ptr<DevicePayload> payload) {
  Slot* slot = admit(info);
  if (slot == nullptr) return false;
  payload->start(slot->image.payload());
  slot->payload = std::move(payload);
  send_off(*slot);
  return true;
}

std::string StreamProducer::lock_queue() {
  if (!memory_) return why_not_shared_.empty() ? "it does not lie in one piece of memory" : why_not_shared_;
  const std::size_t stride = slot_stride(frame_bytes());
  const auto is_there = [&](std::size_t k) { return !slots_[k].image.bytes().empty(); };
  if (page_locks_.empty())
    for (std::size_t first = 0, end = 0; first < slots_.size(); first = end) {
      for (end = first; end < slots_.size() && is_there(end) == is_there(first);) ++end;
      if (is_there(first))
        page_locks_.push_back(std::make_unique<PageLock>(memory_->data() + first * stride, (end - first) * stride));
    }
  const auto refused = std::ranges::find_if(page_locks_, [](const auto& lock) { return !lock->why_not().empty(); });
  return refused == page_locks_.end() ? "" : (*refused)->why_not();
}

StreamProducer::Slot* StreamProducer::admit(const SampleInfo& info) {
  if (abandoned_) {
    ++ledger_.produced;
    ++ledger_.dropped;
    ++ledger_.lost;
    return nullptr;
  }
  if (info.number <= last_pushed_)
    throw RunError(fmt::format("stream: sample {} was pushed after sample {}", info.number, last_pushed_));
  last_pushed_ = info.number;
  await_payload();
  progress();
  {
    const Stopwatch stall(stalls_.agreement);
    agree(false);
  }
  if (is_full() && options_.when_full == WhenFull::block) wait_for_room();
  ++ledger_.produced;
  if (is_full() && options_.when_full == WhenFull::drop_oldest) drop_oldest();
  if (is_full()) {
    ++ledger_.dropped;
    return nullptr;
  }
  Slot& slot = free_slot();
  slot.header = {info, weights_version_};
  return &slot;
}

void StreamProducer::finish(Slot& slot) {
  const std::int64_t sample = slot.header.info.number;
  sign_of_life("frame", sample);
  spoil(slot.image, slot.header, fault_at("frame", sample));
}

bool StreamProducer::take_payload(Slot& slot) {
  if (!slot.payload) return true;
  if (!slot.payload->is_there()) return false;
  slot.payload.reset();
  slot.image.seal(slot.header);
  finish(slot);
  return true;
}

void StreamProducer::await_payload() {
  const auto place = std::ranges::find_if(queue_, [&](int k) { return slots_[k].payload != nullptr; });
  if (place == queue_.end()) return;
  Slot* const arriving = &slots_[*place];
  const std::string what = fmt::format("the device to write sample {} into its frame", arriving->sample);
  const WaitScope wait(what, MPI_COMM_NULL, WaitScope::kAll, options_.deadline_seconds);
  const auto start = Clock::now();
  for (Backoff backoff(frame_bytes()); !take_payload(*arriving); backoff.pause())
    if (seconds_since(start) > options_.deadline_seconds) link_.throw_late(what, start);
}

void StreamProducer::send_off(Slot& slot) {
  const SampleInfo& info = slot.header.info;
  slot.sample = info.number;
  slot.state = State::waiting;
  slot.acknowledged = false;
  slot.since = Clock::now();
  lanes_[link_.learner_of(info.number)]->slots.push_back(static_cast<int>(&slot - slots_.data()));
  admitted_.push_back(info.number);
  hand_over();
}

/// What a fault test orders: a bit that flips on its way, or a solver that goes wrong before it sends.
void StreamProducer::spoil(FrameImage& image, const FrameHeader& header, Fault fault) {
  if (fault == Fault::corrupt) image.bytes()[image.map().payload.front()] ^= std::byte{1};
  const std::optional<float> wild = wild_value(fault);
  if (!wild) return;
  image.payload().front()[image.layout().variable_cells() / 2] = *wild;
  image.seal(header);
}

/// Under `block` alone.
void StreamProducer::wait_for_room() {
  const WaitScope wait("room in the stream's queue", link_.comm(), WaitScope::kAll, options_.deadline_seconds);
  const Stopwatch stall(stalls_.room);
  Backoff backoff(frame_bytes());
  while (is_full()) {
    backoff.pause();
    progress();
    if (agree(late(stall.start()))) throw_stuck(stall.start());
  }
}

/// The oldest sample that no rank has handed over goes, if there is one.
void StreamProducer::drop_oldest() {
  const auto oldest = std::find_if(admitted_.begin(), admitted_.end(), [&](std::int64_t sample) {
    return sample > agreed_handed_[link_.learner_of(sample)];
  });
  if (oldest != admitted_.end()) drop(*oldest);
}

void StreamProducer::progress() {
  if (abandoned_) return;
  complete();
  hand_over();
}

void StreamProducer::complete() {
  for (int l = 0; l < link_.learners(); ++l) {
    for (int done = 1; done;) {
      Lane& lane = *lanes_[l];
      if (lane.ack_request == MPI_REQUEST_NULL) break;
      if (MPI_Test(&lane.ack_request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
        throw RunError("stream: MPI failed to receive an acknowledgement of " + link_.learner_name(l));
      if (!done) continue;
      std::atomic_thread_fence(std::memory_order_acquire);
      take_ack(l);
    }
  }
  for (int& place : queue_) {
    Slot& slot = slots_[place];
    int done = 1;
    if (slot.send != MPI_REQUEST_NULL && MPI_Test(&slot.send, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
      throw RunError(fmt::format("stream: MPI failed to send sample {}", slot.sample));
    if (done && slot.acknowledged) release(place);
  }
}

/// A slot of the queue can be filled again, or the one that its learner has given for it: once MPI is done with that,
/// too.
void StreamProducer::release(int& place) {
  Slot& slot = slots_[place];
  if (slot.other >= 0 && slots_[slot.other].state != State::kept) return;
  slot.acknowledged = false;
  if (slot.other < 0) {
    slot.state = State::free;
    // A fault test may have spoiled bytes that patch() does not write.
    if (options_.tamper) slot.image = pristine_.front();
    return;
  }
  slot.state = State::kept;
  place = static_cast<int>(std::exchange(slot.other, -1));
  slots_[place].state = State::free;
  slots_[place].is_promised = false;
  slots_[place].keeper = -1;
}

void StreamProducer::take_ack(int learner) {
  Lane& lane = *lanes_[learner];
  const AckMessage ack = lane.ack;
  MPI_Irecv(&lane.ack, sizeof lane.ack, MPI_BYTE, link_.learner_rank(learner), kAckTag, link_.comm(),
            &lane.ack_request);
  const bool due =
      !lane.slots.empty() && slots_[lane.slots.front()].state == State::handed && ack.count == lane.sent - lane.handed;
  const std::int64_t sample = due ? slots_[lane.slots.front()].sample : -1;
  if (!due || (ack.outcome != Outcome::rejected && ack.sample != sample))
    throw RunError(fmt::format("stream: {} acknowledged sample {}, which is not the oldest on the way to it",
                               link_.learner_name(learner), ack.sample));
  // Also one whose own exchange is not over yet.
  const auto is_its_own = [&](const Slot& slot) { return slot.keeper == learner && !slot.is_promised; };
  if (ack.slot >= 0 && (ack.slot >= std::ssize(slots_) || !is_its_own(slots_[ack.slot])))
    throw RunError(fmt::format("stream: {} gave slot {} for that of sample {}, which is not its own",
                               link_.learner_name(learner), ack.slot, sample));
  Slot& answered = slots_[lane.slots.front()];
  answered.acknowledged = true;
  answered.other = ack.slot;
  if (ack.slot >= 0) {
    answered.keeper = learner;
    slots_[ack.slot].is_promised = true;
  }
  lane.slots.pop_front();
  --lane.handed;
  lane.last_acknowledged = sample;
  lane.last_answer = Clock::now();
  if (ack.outcome == Outcome::delivered)
    ++ledger_.delivered, ++lane.delivered;
  else if (ack.outcome == Outcome::rejected)
    ++ledger_.rejected, ++lane.rejected;
  else
    ++ledger_.dropped, ++lane.unread;
}

void StreamProducer::hand_over() {
  for (int l = 0; l < link_.learners(); ++l) {
    Lane& lane = *lanes_[l];
    while (lane.handed < options_.credits && lane.handed < static_cast<std::int64_t>(lane.slots.size())) {
      Slot& slot = slots_[lane.slots[lane.handed]];
      if (!take_payload(slot)) break;
      std::size_t bytes = slot.image.bytes().size();
      if (options_.tamper) bytes = options_.tamper(slot.sample, slot.image.bytes());
      const void* from = slot.image.bytes().data();
      std::size_t length = bytes;
      if (lane.shares_memory) {
        // The learner sees the frame's bytes because it takes this message after them, as processors order them.
        slot.message = {&slot - slots_.data(), static_cast<std::int64_t>(bytes)};
        std::atomic_thread_fence(std::memory_order_release);
        from = &slot.message;
        length = sizeof slot.message;
      }
      if (MPI_Isend(from, static_cast<int>(length), MPI_BYTE, link_.learner_rank(l), kFrameTag, link_.comm(),
                    &slot.send) != MPI_SUCCESS)
        throw RunError(fmt::format("stream: MPI refused to send sample {}", slot.sample));
      slot.state = State::handed;
      slot.since = Clock::now();
      lane.last_handed = slot.sample;
      ++lane.handed;
      ++lane.sent;
      ledger_.bytes += static_cast<std::int64_t>(bytes);
    }
  }
}

bool StreamProducer::agree(bool late) {
  std::vector<std::int64_t> state;
  for (const auto& lane : lanes_) {
    state.push_back(-lane->last_acknowledged);  // the greatest of the negatives: acknowledged everywhere
    state.push_back(lane->last_handed);         // handed to MPI anywhere
  }
  state.push_back(late ? 1 : 0);
  // Nothing is handed over during the reduction: what it tells must still hold when the decision is taken.
  link_.allreduce(link_.side_comm(), state, MPI_MAX,
                  fmt::format("the other solver ranks to reach sample {}", last_pushed_), [this] { complete(); });
  for (int l = 0; l < link_.learners(); ++l) {
    agreed_acknowledged_[l] = -state[2 * l];
    agreed_handed_[l] = state[2 * l + 1];
  }
  std::erase_if(admitted_,
                [&](std::int64_t sample) { return sample <= agreed_acknowledged_[link_.learner_of(sample)]; });
  return state.back() != 0;
}

void StreamProducer::drop(std::int64_t sample) {
  Lane& lane = *lanes_[link_.learner_of(sample)];
  const auto place =
      std::find_if(lane.slots.begin(), lane.slots.end(), [&](int slot) { return slots_[slot].sample == sample; });
  slots_[*place].state = State::free;
  lane.slots.erase(place);
  std::erase(admitted_, sample);
  ++ledger_.dropped;
}

StreamProducer::Slot& StreamProducer::free_slot() {
  // All ranks have the acknowledgement, but MPI may not yet have said that the send itself is over.
  const WaitScope wait("a frame to leave", link_.comm(), WaitScope::kAll, options_.deadline_seconds);
  const auto start = Clock::now();
  for (Backoff backoff(frame_bytes());; backoff.pause()) {
    for (const int place : queue_)
      if (slots_[place].state == State::free) return slots_[place];
    complete();
    if (late(start)) throw_stuck(start);
  }
}

bool StreamProducer::empty() const {
  return std::ranges::all_of(queue_, [&](int place) { return slots_[place].state == State::free; });
}

bool StreamProducer::late(Clock::time_point start) const {
  if (seconds_since(start) <= options_.deadline_seconds) return false;
  // A learner that answers is slow, not lost: its last answer restarts the clock.
  for (const auto& lane : lanes_)
    if (!lane->slots.empty() && seconds_since(lane->last_answer) > options_.deadline_seconds) return true;
  return std::all_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return lane->slots.empty(); });
}

void StreamProducer::throw_stuck(Clock::time_point start) const {
  const Slot* oldest = nullptr;
  for (const int place : queue_)
    if (const Slot& slot = slots_[place];
        slot.state != State::free && !slot.acknowledged && (oldest == nullptr || slot.sample < oldest->sample))
      oldest = &slot;
  if (oldest == nullptr)
    link_.throw_late("MPI to be done with frames that have been acknowledged, or another solver rank", start);
  try {
    link_.throw_late(fmt::format("{} to acknowledge sample {}, {} {:.1f} s ago (queue of {}, {} in flight)",
                                 link_.learner_name(link_.learner_of(oldest->sample)), oldest->sample,
                                 oldest->state == State::handed ? "sent" : "queued", seconds_since(oldest->since),
                                 options_.queue, ledger().in_flight),
                     start);
  } catch (const StreamLate& error) {
    throw LearnerSilent(error.what());
  }
}

double StreamProducer::silent_seconds() const {
  double longest = 0;
  for (const auto& lane : lanes_)
    if (lane->handed > 0)
      longest = std::max(longest,
                         std::min(seconds_since(lane->last_answer), seconds_since(slots_[lane->slots.front()].since)));
  return longest;
}

void StreamProducer::abandon() {
  if (abandoned_) return;
  await_payload();  // nothing writes into frames that are given up
  complete();
  // Answers of one learner come in one order to all ranks: what all have is the shortest of these beginnings.
  std::vector<std::int64_t> common;
  std::int64_t by_policy = ledger_.dropped;
  for (const auto& lane : lanes_) {
    common.insert(common.end(), {lane->delivered, lane->rejected, lane->unread});
    by_policy -= lane->unread;
  }
  link_.allreduce(link_.side_comm(), common, MPI_MIN, "the other solver ranks to end the stream without its learners");
  Ledger& l = ledger_;
  l.delivered = l.rejected = 0;
  l.dropped = by_policy;
  for (std::size_t k = 0; k < common.size(); k += 3) {
    l.delivered += common[k];
    l.rejected += common[k + 1];
    l.dropped += common[k + 2];
  }
  l.lost = l.produced - l.delivered - l.rejected - l.dropped;
  l.dropped += l.lost;
  for (auto& lane : lanes_) lane->slots.clear();
  admitted_.clear();
  abandoned_ = true;
}

void StreamProducer::drain() {
  const WaitScope wait("the learners to take what is in flight", link_.comm(), WaitScope::kAll,
                       options_.deadline_seconds);
  const Stopwatch stall(stalls_.end);
  Backoff backoff(frame_bytes());
  for (progress(); !empty(); progress()) {
    if (late(stall.start())) throw_stuck(stall.start());
    backoff.pause();
  }
}

Ledger StreamProducer::finish() {
  if (abandoned_) return totals();
  if (finished_) throw RunError("stream: a producer was finished twice");
  drain();
  finished_ = true;
  try {
    return end_with_learners();
  } catch (const StreamLate& error) {
    throw LearnerSilent(error.what());
  }
}

Ledger StreamProducer::end_with_learners() {
  // A message of a few words; it may outlive this call when a learner never comes for it.
  auto end = std::make_unique<std::vector<EndMessage>>(link_.learners());
  const Stopwatch stall(stalls_.end);
  for (int l = 0; l < link_.learners(); ++l) {
    (*end)[l] = {lanes_[l]->sent, ledger_.produced};
    MPI_Request request;
    MPI_Isend(&(*end)[l], sizeof(EndMessage), MPI_BYTE, link_.learner_rank(l), kEndTag, link_.comm(), &request);
    try {
      link_.wait(request, link_.learner_name(l) + " to take the end of the stream");
    } catch (...) {
      (void)end.release();
      throw;
    }
  }
  const StreamLink::Totals totals = link_.exchange(ledger());
  for (auto& lane : lanes_) {
    MPI_Cancel(&lane->ack_request);
    MPI_Wait(&lane->ack_request, MPI_STATUS_IGNORE);
  }
  link_.set_quiet();
  check_closed(totals.producers, totals.learners);
  Ledger whole = options_.carried;
  return whole += totals.producers;
}

Ledger StreamProducer::totals() {
  Ledger whole = options_.carried;
  Ledger here = ledger();
  std::vector<std::int64_t> bytes = {here.bytes};
  link_.allreduce(link_.side_comm(), bytes, MPI_SUM, "the other solver ranks' counts", [this] {
    if (!abandoned_) complete();
  });
  here.bytes = bytes.front();
  return whole += here;
}

Ledger StreamProducer::ledger() const {
  Ledger now = ledger_;
  for (const auto& lane : lanes_) now.in_flight += static_cast<std::int64_t>(lane->slots.size());
  return now;
}

}  // namespace tramontane
