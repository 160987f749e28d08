/// What the keys of a deck must satisfy together.
#pragma once

#include "src/deck/layout.hpp"

namespace tramontane {

/// Checks that the deck makes sense as a whole for a command on a number of ranks: grids nest, tiles fit, months are
/// disjoint, intervals divide, enough samples to begin training, roles fit the ranks.
/// Throws InputError naming the keys, where they were set, and what to change.
void check_deck(const Deck& deck, Command command, const RankLayout& layout);
/// The same on so many ranks, dealt by the deck alone.
void check_deck(const Deck& deck, Command command, int ranks);

}  // namespace tramontane
