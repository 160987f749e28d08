/// What of a deck decides the coarse solver's result: archives keep it, so that a later training can tell.
#pragma once

#include <string>

#include "src/archive/archive_set.hpp"
#include "src/deck/deck.hpp"

namespace tramontane {

/// Lines "key = value": keys of physics, those of the time step as they work out, and the mean depth, about which the
/// solver reckons heights.
std::string coarse_physics(const Deck& deck);

/// Throws InputError, naming archive and key, when an archive says that it was taught by another coarse solver than the
/// deck's. Archives that say nothing are accepted.
void require_same_physics(const Deck& deck, const ArchiveSet& archives);

}  // namespace tramontane
