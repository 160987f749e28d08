#include "src/coupled/stream_setup.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdint>

#include "src/coupled/provenance.hpp"

namespace tramontane {

namespace {
constexpr std::int64_t kRejectionsSaid = 4;
}

StreamOptions stream_options(const Deck& deck, const RunSnapshot* continued) {
  StreamOptions options;
  options.queue = deck.stream.queue;
  options.credits = std::min(options.credits, options.queue);
  options.when_full = deck.stream.when_full;
  options.deadline_seconds = deck.stream.deadline;
  options.run_id = run_id(deck);
  // A solver that has gone wrong may send such frames for hours: after the first ones every doubling of their number.
  options.on_rejection = [count = std::int64_t{0}](const std::string& what) mutable {
    ++count;
    if (count <= kRejectionsSaid || (count & (count - 1)) == 0)
      spdlog::warn("the stream rejects {}{}", what, count > 1 ? fmt::format("; {} so far", count) : std::string());
  };
  if (continued) {
    options.first_sample = continued->place.number;
    options.carried = continued->ledger;
  }
  return options;
}

StreamRoles stream_roles(const RankLayout& layout) {
  StreamRoles roles;
  for (int rank = 0; rank < layout.total(); ++rank)
    (layout.is_learner(rank) ? roles.learners : roles.solvers).push_back(rank);
  return roles;
}

StreamSummary stream_summary(const Ledger& ledger) {
  StreamSummary out;
  out.produced = ledger.produced;
  out.delivered = ledger.delivered;
  out.dropped = ledger.dropped;
  out.in_flight = ledger.in_flight;
  out.rejected = ledger.rejected;
  out.bytes = ledger.bytes;
  out.lost = ledger.lost;
  return out;
}

void add_stalls(StreamSummary& summary, const StreamProducer& producer) {
  summary.producer_stall_seconds = producer.stall_seconds();
  summary.stall_agreement_seconds = producer.stalls().agreement;
  summary.stall_room_seconds = producer.stalls().room;
  summary.stall_end_seconds = producer.stalls().end;
  summary.queue_bytes = static_cast<std::int64_t>(producer.queue_bytes());
}

}  // namespace tramontane
