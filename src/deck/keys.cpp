#include "src/deck/keys.hpp"

#include <algorithm>
#include <limits>

#include "src/deck/key_values.hpp"

namespace tramontane {
namespace {

std::string last_part(const std::string& name) {
  return name.substr(name.rfind('.') + 1);
}

/// Restricted Damerau-Levenshtein distance: insertions, deletions, changes and swaps of neighbours.
int edit_distance(const std::string& a, const std::string& b) {
  const int rows = static_cast<int>(a.size()) + 1, columns = static_cast<int>(b.size()) + 1;
  std::vector<std::vector<int>> d(rows, std::vector<int>(columns));
  for (int i = 0; i < rows; ++i) d[i][0] = i;
  for (int j = 0; j < columns; ++j) d[0][j] = j;
  for (int i = 1; i < rows; ++i)
    for (int j = 1; j < columns; ++j) {
      const int change = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[rows - 1][columns - 1];
}

std::vector<std::string> section_names() {
  std::vector<std::string> names;
  for (const Key& key : deck_keys())
    for (auto dot = key.name.find('.'); dot != std::string::npos; dot = key.name.find('.', dot + 1)) {
      const std::string section = key.name.substr(0, dot);
      if (std::find(names.begin(), names.end(), section) == names.end()) names.push_back(section);
    }
  return names;
}

}  // namespace

const Key* find_key(const std::string& name) {
  for (const Key& key : deck_keys())
    if (key.name == name) return &key;
  return nullptr;
}

bool is_section(const std::string& name) {
  for (const Key& key : deck_keys())
    if (key.name.starts_with(name + ".")) return true;
  return false;
}

std::string nearest_key(const std::string& name) {
  std::vector<std::string> candidates = section_names();
  for (const Key& key : deck_keys()) candidates.push_back(key.name);
  std::string best;
  int best_distance = std::numeric_limits<int>::max();
  for (const std::string& candidate : candidates) {
    // A key put into the wrong section, or into none, counts as one slip.
    const int moved = last_part(candidate) == last_part(name) ? 1 : std::numeric_limits<int>::max();
    const int distance = std::min(moved, edit_distance(name, candidate));
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

const char* name_of(InitialCase value) {
  return enum_name(value);
}
const char* name_of(Relief value) {
  return enum_name(value);
}
const char* name_of(TracerLimiter value) {
  return enum_name(value);
}
const char* name_of(WhenFull value) {
  return enum_name(value);
}
const char* name_of(SurrogateKind value) {
  return enum_name(value);
}
const char* name_of(SurrogateBackend value) {
  return enum_name(value);
}
const char* name_of(SampleOrder value) {
  return enum_name(value);
}
const char* name_of(BadSamples value) {
  return enum_name(value);
}
const char* name_of(UnfinishedArchives value) {
  return enum_name(value);
}
const char* name_of(WhenLost value) {
  return enum_name(value);
}
const char* name_of(RankPlacement value) {
  return enum_name(value);
}

}  // namespace tramontane
