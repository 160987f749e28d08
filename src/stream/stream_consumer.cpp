#include "src/stream/stream_consumer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <map>
#include <numeric>
#include <span>
#include <utility>

#include "kernels/errors.hpp"
#include "kernels/wait_scope.hpp"

namespace tramontane {

StreamConsumer::StreamConsumer(MPI_Comm comm, const StreamRoles& roles, const Tiling& tiling,
                               const StreamOptions& options)
    : options_(options), tiling_(tiling), link_(comm, roles, options.deadline_seconds) {
  check(options);
  options_.credits = std::min(options_.credits, options_.queue);
  if (link_.learner_index() < 0) throw RunError("stream: a rank that is no learner rank made a consumer");
  if (tiling.ranks != link_.solvers())
    throw RunError(fmt::format("stream: a tiling of {} ranks for {} solver ranks", tiling.ranks, link_.solvers()));
  std::vector<std::int64_t> digests;
  for (int s = 0; s < link_.solvers(); ++s) {
    sources_.push_back(std::make_unique<Source>(FrameLayout{tiling, s, options_.run_id}));
    digests.push_back(static_cast<std::int64_t>(sources_.back()->reader.template_digest()));
  }
  link_.check_templates(digests);
  last_sample_ = options_.first_sample - 1;
  attach_queues();
  for (int s = 0; s < link_.solvers(); ++s) {
    Source& source = *sources_[s];
    source.buffers.resize(options_.credits);
    for (Buffer& buffer : source.buffers) {
      buffer.bytes.resize(source.queue ? sizeof(HandoverMessage) : source.reader.frame_size());
      post(s, buffer);
    }
    MPI_Irecv(&source.end, sizeof source.end, MPI_BYTE, link_.solver_rank(s), kEndTag, link_.comm(),
              &source.end_request);
  }
}

StreamConsumer::~StreamConsumer() {
  for (auto& source : sources_) {
    for (Buffer& buffer : source->buffers)
      if (buffer.request != MPI_REQUEST_NULL) {
        MPI_Cancel(&buffer.request);
        MPI_Wait(&buffer.request, MPI_STATUS_IGNORE);
      }
    if (source->end_request != MPI_REQUEST_NULL) {
      MPI_Cancel(&source->end_request);
      MPI_Wait(&source->end_request, MPI_STATUS_IGNORE);
    }
  }
  // After a failed run an answer may still be on its way out of this memory: it is left to MPI.
  for (auto& ack : acks_)
    if (ack->request != MPI_REQUEST_NULL) (void)ack.release();
}

/// Looks for the queues of solver ranks on this machine; the others send messages.
void StreamConsumer::attach_queues() {
  // Only what comes whole from one solver rank can stay as it is: else a sample is put together from frames.
  const bool can_keep = options_.share_memory && sources_.front()->reader.lies_as_sample();
  const std::vector<std::int64_t> keep = link_.exchange_keep(can_keep ? options_.keep : 0);
  const std::vector<QueueOffer> offers = link_.exchange_offers({});
  std::vector<std::int64_t> attached;
  for (int s = 0; s < link_.solvers(); ++s) {
    const QueueOffer& offer = offers[static_cast<std::size_t>(s)];
    std::int64_t how = kMessages;
    if (options_.share_memory && offer.name.front() != 0 && offer.bytes > 0)
      sources_[s]->queue = SharedMemory::attach(offer.name.data(), static_cast<std::size_t>(offer.bytes));
    if (sources_[s]->queue) how = claim_spares(offer, keep) ? kReadsAndKeeps : kReads;
    attached.push_back(how);
  }
  link_.exchange_attached(attached);
}

/// Claims the memory of the samples that this learner keeps, behind the queue and what the learners before it keep.
bool StreamConsumer::claim_spares(const QueueOffer& offer, const std::vector<std::int64_t>& keep) {
  const auto learner = static_cast<std::size_t>(link_.learner_index());
  if (keep[learner] == 0) return false;
  why_not_kept_ = "the solver rank has not got the addresses";
  if (offer.first_kept < 0) return false;
  const std::size_t stride = slot_stride(sources_.front()->reader.frame_size());
  const std::int64_t first =
      std::accumulate(keep.begin(), keep.begin() + static_cast<std::ptrdiff_t>(learner), offer.first_kept);
  why_not_kept_ = SharedMemory::claim(offer.name.data(), static_cast<std::size_t>(first) * stride,
                                      static_cast<std::size_t>(keep[learner]) * stride);
  if (!why_not_kept_.empty()) return false;
  kept_bytes_ = static_cast<std::size_t>(keep[learner]) * stride;
  for (std::int64_t k = keep[learner] - 1; k >= 0; --k) spares_.push_back(first + k);
  return true;
}

bool StreamConsumer::lend(Sample& sample) {
  if (spares_.empty()) return false;
  lend(sample, spares_.back());
  spares_.pop_back();
  return true;
}

void StreamConsumer::lend(Sample& sample, std::int64_t slot) const {
  const Source& source = *sources_.front();
  const std::byte* image =
      source.queue->data() + static_cast<std::size_t>(slot) * slot_stride(source.reader.frame_size());
  sample.n = tiling_.n;
  sample.input.lend(source.reader.inputs(image), source.queue);
  sample.target.lend(source.reader.targets(image), source.queue);
}

std::int64_t StreamConsumer::lent_slot(const Sample* sample) const {
  const SharedMemory* queue = sources_.front()->queue.get();
  if (sample == nullptr || queue == nullptr) return -1;
  const auto slot_of = [&](const SampleValues& values) -> std::int64_t {
    const auto* first = reinterpret_cast<const std::byte*>(values.data());
    if (!values.is_lent() || std::less<>()(first, queue->data()) ||
        !std::less<>()(first, queue->data() + queue->size()))
      return -1;
    return static_cast<std::int64_t>(static_cast<std::size_t>(first - queue->data()) /
                                     slot_stride(sources_.front()->reader.frame_size()));
  };
  const std::int64_t slot = slot_of(sample->input);
  return slot == slot_of(sample->target) ? slot : -1;
}

std::span<const std::byte> StreamConsumer::image_in(const Source& source, const Buffer& buffer) const {
  const std::span<const std::byte> received = std::span(buffer.bytes).first(buffer.received);
  if (!source.queue) return received;
  if (received.size() != sizeof(HandoverMessage)) return {};
  const HandoverMessage message = message_in(buffer);
  const std::size_t stride = slot_stride(source.reader.frame_size());
  const auto slots = static_cast<std::int64_t>(source.queue->size() / stride);
  if (message.slot < 0 || message.slot >= slots || message.bytes < 0 ||
      message.bytes > static_cast<std::int64_t>(stride))
    return {};
  std::atomic_thread_fence(std::memory_order_acquire);
  return {source.queue->data() + static_cast<std::size_t>(message.slot) * stride,
          static_cast<std::size_t>(message.bytes)};
}

HandoverMessage StreamConsumer::message_in(const Buffer& buffer) {
  HandoverMessage message;
  std::memcpy(&message, buffer.bytes.data(), sizeof message);
  return message;
}

int StreamConsumer::sharing_solvers() const {
  return static_cast<int>(std::ranges::count_if(sources_, [](const auto& source) { return source->queue != nullptr; }));
}

void StreamConsumer::post(int solver, Buffer& buffer) {
  buffer.arrived = false;
  buffer.transport = {};
  MPI_Irecv(buffer.bytes.data(), static_cast<int>(buffer.bytes.size()), MPI_BYTE, link_.solver_rank(solver), kFrameTag,
            link_.comm(), &buffer.request);
}

bool StreamConsumer::all_arrived() {
  bool all = true;
  for (int s = 0; s < link_.solvers(); ++s) {
    Buffer& buffer = current(*sources_[s]);
    if (!buffer.arrived) {
      int done = 0;
      MPI_Status status;
      const int error = MPI_Test(&buffer.request, &done, &status);
      if (error != MPI_SUCCESS) {
        char text[MPI_MAX_ERROR_STRING];
        int length = 0;
        MPI_Error_string(error, text, &length);
        buffer.transport = {FrameFault::transport,
                            "frame of " + link_.solver_name(s) + ": " + std::string(text, length)};
        buffer.request = MPI_REQUEST_NULL;
        buffer.received = 0;
        done = 1;
      } else if (done) {
        MPI_Get_count(&status, MPI_BYTE, &buffer.received);
      }
      buffer.arrived = done != 0;
    }
    all = all && buffer.arrived;
  }
  return all;
}

FrameVerdict StreamConsumer::judge(FrameHeader& header, Sample* into) const {
  // The sample is the one that most good frames name; the frames of one learner come in the order of samples.
  std::map<std::int64_t, int> votes;
  std::vector<FrameHeader> headers;
  FrameVerdict first_bad;
  for (const auto& source : sources_) {
    const Buffer& buffer = current(*source);
    FrameVerdict verdict = buffer.transport;
    const auto image = image_in(*source, buffer);
    if (verdict.good()) verdict = source->reader.check(image, {}, first_bad.good() ? into : nullptr);
    if (verdict.good()) {
      headers.push_back(source->reader.header(image));
      ++votes[headers.back().info.number];
    } else if (first_bad.good()) {
      first_bad = verdict;
    }
  }
  const auto most =
      std::max_element(votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  header.info.number = most == votes.end() ? -1 : most->first;
  if (!first_bad.good()) return first_bad;
  header = headers.front();
  header.info.number = most->first;
  for (int s = 0; s < link_.solvers(); ++s) {
    const SampleInfo &one = headers[s].info, &all = header.info;
    if (one.number != all.number || one.time != all.time || one.month != all.month ||
        one.trajectory != all.trajectory || one.validation != all.validation ||
        headers[s].weights_version != header.weights_version)
      return {FrameFault::sample,
              fmt::format("frame of {}: it carries sample {} at {} s of trajectory {}, the others sample {} at {} s of "
                          "trajectory {}",
                          link_.solver_name(s), one.number, one.time, one.trajectory, all.number, all.time,
                          all.trajectory)};
  }
  if (header.info.number <= last_sample_ || link_.learner_of(header.info.number) != link_.learner_index())
    return {FrameFault::sample,
            fmt::format("sample {} came after sample {} to {}", header.info.number, last_sample_, link_.my_name())};
  return {};
}

bool StreamConsumer::next(Sample* into) {
  clear_acks();
  while (!finished_) {
    take_ends();
    if (finished_ || !all_arrived()) return false;
    ++ledger_.produced;
    for (const auto& source : sources_)
      ledger_.bytes += static_cast<std::int64_t>(image_in(*source, current(*source)).size());
    // A sample that lies in the queue's memory is exchanged with the one that has come; another takes a copy.
    const std::int64_t given = lent_slot(into);
    if (into != nullptr && given < 0) {
      into->n = tiling_.n;
      into->input.resize(sample_inputs().size() * tiling_.cell_count());
      into->target.resize(sample_targets().size() * tiling_.cell_count());
    }
    FrameHeader header;
    const FrameVerdict verdict = judge(header, given < 0 ? into : nullptr);
    std::int64_t returned = -1;
    const std::int64_t number = header.info.number;
    Outcome outcome = Outcome::rejected;
    if (!verdict.good()) {
      ++ledger_.rejected;
      last_rejection_ = fmt::format("{}: {} ({})", number < 0 ? "a sample" : fmt::format("sample {}", number),
                                    verdict.reason, name(verdict.fault));
      if (options_.on_rejection) options_.on_rejection(last_rejection_);
    } else {
      last_sample_ = number;
      weights_version_ = header.weights_version;
      if (into == nullptr) {
        outcome = Outcome::unread;
        ++ledger_.dropped;
      } else {
        outcome = Outcome::delivered;
        ++ledger_.delivered;
        if (given >= 0) {
          lend(*into, message_in(current(*sources_.front())).slot);
          returned = given;
        }
        into->info = header.info;
      }
    }
    for (int s = 0; s < link_.solvers(); ++s) post(s, current(*sources_[s]));
    ++taken_;
    acknowledge(number, outcome, returned);
    if (outcome == Outcome::delivered) return true;
  }
  return false;
}

void StreamConsumer::take_ends() {
  int ended = 0;
  for (auto& source : sources_) {
    if (!source->ended) {
      int done = 0;
      if (MPI_Test(&source->end_request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
        throw RunError("stream: MPI failed to receive the end of the stream");
      source->ended = done != 0;
    }
    ended += source->ended;
  }
  if (ended < link_.solvers()) return;
  for (int s = 0; s < link_.solvers(); ++s)
    if (sources_[s]->end.samples != sources_[0]->end.samples || sources_[s]->end.samples < taken_)
      throw RunError(fmt::format("stream: {} sent {} samples to {}, {} sent {}, and {} have been taken",
                                 link_.solver_name(0), sources_[0]->end.samples, link_.my_name(), link_.solver_name(s),
                                 sources_[s]->end.samples, taken_));
  finished_ = taken_ == sources_[0]->end.samples;
}

void StreamConsumer::acknowledge(std::int64_t sample, Outcome outcome, std::int64_t returned) {
  for (int s = 0; s < link_.solvers(); ++s) {
    acks_.push_back(std::make_unique<Ack>());
    Ack& ack = *acks_.back();
    ack.message = {sample, taken_ - 1, outcome, returned};
    // What this rank has read of a slot it gives back comes before what the solver rank writes there.
    std::atomic_thread_fence(std::memory_order_release);
    MPI_Isend(&ack.message, sizeof ack.message, MPI_BYTE, link_.solver_rank(s), kAckTag, link_.comm(), &ack.request);
  }
  clear_acks();
}

void StreamConsumer::clear_acks() {
  std::erase_if(acks_, [](const auto& ack) {
    int done = 0;
    MPI_Test(&ack->request, &done, MPI_STATUS_IGNORE);
    return done != 0;
  });
}

std::optional<Sample> StreamConsumer::wait(std::optional<double> deadline_seconds) {
  std::optional<Sample> sample(std::in_place);
  if (!wait(*sample, deadline_seconds)) sample.reset();
  return sample;
}

bool StreamConsumer::wait(Sample& into, std::optional<double> deadline_seconds, const std::function<bool()>& give_up) {
  const auto start = Clock::now();
  const double deadline = deadline_seconds.value_or(options_.deadline_seconds);
  const WaitScope wait("frames of the solver ranks", link_.comm(), WaitScope::kAll, deadline);
  Backoff backoff(sources_.front()->reader.frame_size());
  while (true) {
    if (poll(into)) return true;
    if (finished_ || (give_up && give_up())) return false;
    if (seconds_since(start) > deadline) {
      idle_seconds_ += seconds_since(start);
      link_.throw_late(missing(), start);
    }
    const auto asleep = Clock::now();
    backoff.pause();
    idle_seconds_ += seconds_since(asleep);
  }
}

std::optional<Sample> StreamConsumer::poll() {
  std::optional<Sample> sample(std::in_place);
  if (!poll(*sample)) sample.reset();
  return sample;
}

std::string StreamConsumer::missing() const {
  std::string ranks;
  for (int s = 0; s < link_.solvers(); ++s)
    if (!current(*sources_[s]).arrived) ranks += (ranks.empty() ? "" : ", ") + link_.solver_name(s);
  return fmt::format("the frames of {} (sample {} of this learner, the one before it was sample {})",
                     ranks.empty() ? "no rank" : ranks, taken_, last_sample_);
}

Ledger StreamConsumer::finish() {
  const WaitScope wait("the end of the stream", link_.comm(), WaitScope::kAll, options_.deadline_seconds);
  auto start = Clock::now();
  Backoff backoff;
  for (std::int64_t seen = taken_; !finished_; backoff.pause()) {
    next(nullptr);
    if (taken_ != seen) start = Clock::now();
    seen = taken_;
    if (!finished_ && seconds_since(start) > options_.deadline_seconds) link_.throw_late(missing(), start);
  }
  while (!acks_.empty()) {
    link_.wait(acks_.front()->request, "its last answers to leave");
    acks_.pop_front();
  }
  const StreamLink::Totals totals = link_.exchange(ledger_);
  for (auto& source : sources_)
    for (Buffer& buffer : source->buffers) {
      MPI_Cancel(&buffer.request);
      MPI_Wait(&buffer.request, MPI_STATUS_IGNORE);
    }
  link_.set_quiet();
  check_closed(totals.producers, totals.learners);
  Ledger whole = options_.carried;
  return whole += totals.producers;
}

std::size_t StreamConsumer::buffer_bytes() const {
  std::size_t total = 0;
  for (const auto& source : sources_)
    if (!source->queue) total += source->buffers.size() * source->reader.frame_size();
  return total;
}

}  // namespace tramontane
