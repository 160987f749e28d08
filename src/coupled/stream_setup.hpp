/// The stream of a coupled run, as its deck asks for it.
#pragma once

#include "src/checkpoint/run_snapshot.hpp"
#include "src/deck/layout.hpp"
#include "src/output/summary.hpp"
#include "src/stream/stream_producer.hpp"

namespace tramontane {

/// Queue, policy, deadline and run id; the same on both sides.
/// @param continued the snapshot that the run goes on from; null: it starts anew
StreamOptions stream_options(const Deck& deck, const RunSnapshot* continued = nullptr);

/// World ranks by role.
StreamRoles stream_roles(const RankLayout& layout);

/// Counts of a closed ledger, without times.
StreamSummary stream_summary(const Ledger& ledger);

/// Waits of this rank by cause, and the queue's memory.
void add_stalls(StreamSummary& summary, const StreamProducer& producer);

}  // namespace tramontane
