/// The table of deck keys: reading, dump, help and nearest-key all come from it.
#pragma once

#include <yaml-cpp/yaml.h>

#include <functional>
#include <string>
#include <vector>

#include "src/deck/deck.hpp"

namespace tramontane {

/// One key of the deck.
struct Key {
  std::string name;         ///< "section.key"
  std::string unit;         ///< empty for pure numbers and names
  std::string description;  ///< one phrase
  std::string expects;      ///< "a whole number, at least 1"
  /// Stores the node's value; false when it is not what the key expects.
  std::function<bool(Deck&, const YAML::Node&)> set;
  /// The value as YAML.
  std::function<std::string(const Deck&)> get;
};

/// All keys, sections together, in the order of the dump.
const std::vector<Key>& deck_keys();

/// The key of that name, or null.
const Key* find_key(const std::string& name);

/// Whether the name is a section, such as "grid" or "surrogate.network".
bool is_section(const std::string& name);

/// The known key or section that is most like the name: the one whose last part is the same, else by edit distance.
std::string nearest_key(const std::string& name);

}  // namespace tramontane
