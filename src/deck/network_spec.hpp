/// The network that a deck asks for.
#pragma once

#include "ml/network_graph.hpp"
#include "src/deck/deck.hpp"

namespace tramontane {

/// Static channels that every surrogate of this program gets (surrogate_statics).
inline constexpr int kSurrogateStatics = 5;

/// The deck's network on a coarse grid of n cells per panel edge, whole panels a tile, with `statics` static channels.
NetworkSpec network_spec(const Deck& deck, int n, std::size_t statics = kSurrogateStatics);

/// Throws InputError, in one sentence with the place in the deck, if the deck's network does not fit the coarse grid or
/// the solver's tiles of it.
void check_network(const Deck& deck);

}  // namespace tramontane
