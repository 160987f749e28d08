/// Which samples of archives rollouts can start from, and what must hold for that.
#pragma once

#include <cstdint>
#include <vector>

#include "src/archive/archive_set.hpp"
#include "src/coupled/rollout_schedule.hpp"
#include "src/deck/deck.hpp"

namespace tramontane {

/// Two samples of one trajectory, by their numbers in the list: where a rollout begins, and whose input is the truth at
/// its end.
struct RolloutStart {
  std::int64_t start = 0, truth = 0;
  bool operator==(const RolloutStart&) const = default;
};

/// Those of `numbers` (ascending) whose trajectory has a sample `intervals` coupling intervals later, in the same
/// archive. Samples between may be missing: nothing is read from them.
std::vector<RolloutStart> rollout_starts(const ArchiveSet& archives, const std::vector<std::int64_t>& numbers,
                                         int intervals);

/// Throws InputError unless the training samples fit the schedule: a sample at every coupling interval, trajectories long
/// enough for the longest rollout, one orography, and a coarse solver that is the deck's. That is asked twice: of what
/// the archives say about their solver, and by teaching the first sample of each archive again, whose target must come
/// out as it stands there. Local; reads a few samples. Returns the largest difference there, over the target.
double require_rollouts(const Deck& deck, const ArchiveSet& archives, const RolloutSchedule& schedule);

}  // namespace tramontane
