/// What the run's job says to its learner's when the two meet in a folder, and how their counts close.
#pragma once

#include "src/exchange/solver_end.hpp"
#include "src/output/summary.hpp"

namespace tramontane {

/// What the learner's job must know. Of a run that goes on: its name is the one that it began with.
RunAnnouncement announcement_of(const Deck& deck, const RunSnapshot* continued = nullptr);

/// Both jobs' counts of samples. Call on one rank. Throws RunError when they do not fit.
ExchangeSummary close_exchange(SolverEnd& exchange, std::int64_t produced);

}  // namespace tramontane
