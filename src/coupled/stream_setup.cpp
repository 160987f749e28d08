#include "src/coupled/stream_setup.hpp"

#include <algorithm>

#include "src/coupled/provenance.hpp"

namespace tramontane {

StreamOptions stream_options(const Deck& deck, const RunSnapshot* continued) {
  StreamOptions options;
  options.queue = deck.stream.queue;
  options.credits = std::min(options.credits, options.queue);
  options.when_full = deck.stream.when_full;
  options.deadline_seconds = deck.stream.deadline;
  options.run_id = run_id(deck);
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
