#include "src/deck/network_spec.hpp"

#include <fmt/format.h>

#include "kernels/errors.hpp"
#include "kernels/sample.hpp"

namespace tramontane {

NetworkSpec network_spec(const Deck& deck, int n, std::size_t statics) {
  const NetworkDeck& network = deck.surrogate.network;
  NetworkSpec spec;
  spec.type = network.type;
  spec.inputs = static_cast<int>(sample_inputs().size() + statics);
  spec.outputs = static_cast<int>(sample_targets().size());
  spec.width = network.width;
  spec.levels = network.levels;
  spec.n = n;
  spec.tiles_per_edge = 1;  // a learner holds whole spheres
  spec.blocks = network.blocks;
  spec.dilations = network.dilations;
  spec.expansion = network.expansion;
  spec.norm = network.norm;
  spec.groups = network.groups;
  spec.kernels = network.kernels;
  return spec;
}

void check_network(const Deck& deck) {
  try {
    NetworkSpec spec = network_spec(deck, deck.surrogate.coarse_n);
    check(spec);
    spec.tiles_per_edge = deck.grid.tiles_per_edge;  // the solver's ranks evaluate it on theirs
    check(spec);
  } catch (const InputError& error) {
    const std::string message = error.what();
    // The sentence begins with the key that is at fault.
    const std::string key = message.substr(0, message.find(' '));
    const bool names_key = key.starts_with("surrogate.") || key.starts_with("grid.");
    throw InputError((names_key ? deck.where(key) : std::string()) + message);
  }
}

}  // namespace tramontane
