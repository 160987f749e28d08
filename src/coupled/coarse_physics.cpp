#include "src/coupled/coarse_physics.hpp"

#include <fmt/format.h>

#include <map>
#include <sstream>

#include "kernels/errors.hpp"
#include "physics/integrators/time_integrator.hpp"
#include "src/deck/keys.hpp"

namespace tramontane {

namespace {

std::map<std::string, std::string> values_of(const std::string& lines) {
  std::map<std::string, std::string> values;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);)
    if (const auto at = line.find(" = "); at != std::string::npos) values[line.substr(0, at)] = line.substr(at + 3);
  return values;
}

}  // namespace

std::string coarse_physics(const Deck& deck) {
  const bool is_implicit = deck.physics.integrator == "semi_implicit";
  std::string lines;
  for (const Key& key : deck_keys()) {
    const bool counts = key.name == "initial.mean_depth" || (key.name.starts_with("physics.") &&
                                                             (is_implicit || !key.name.starts_with("physics.helmholtz.")));
    if (counts) lines += fmt::format("{} = {}\n", key.name, key.get(deck));
  }
  // As it works out: a deck that spells out the integrator's own choice means the same.
  const IntegratorTraits& traits = integrator_traits(deck.physics.integrator);
  if (deck.time.dt) return lines + fmt::format("time.dt = {:g}\n", *deck.time.dt);
  const double cfl = deck.time.cfl.value_or(traits.default_courant.at(deck.physics.reconstruction));
  return lines + fmt::format("time.cfl = {:g}\n", cfl);
}

void require_same_physics(const Deck& deck, const ArchiveSet& archives) {
  const auto own = values_of(coarse_physics(deck));
  for (const auto& archive : archives.archives()) {
    if (archive->physics().empty()) continue;
    for (const auto& [key, value] : values_of(archive->physics())) {
      const auto found = own.find(key);
      const std::string has = found == own.end() ? "none" : found->second;
      if (has != value)
        throw InputError(
            fmt::format("{}archive {} was taught by a coarse solver with {} = {} and the deck's has {}: set it back, or "
                        "train without learner.rollout",
                        deck.where(key), archive->path(), key, value, has));
    }
  }
}

}  // namespace tramontane
