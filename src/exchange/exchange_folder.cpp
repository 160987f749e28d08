#include "src/exchange/exchange_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "kernels/errors.hpp"
#include "src/output/run_folder.hpp"

namespace tramontane {

ExchangeFolder::ExchangeFolder(const Deck& deck) : deck_(deck), path_(deck.exchange.dir.value()) {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  const std::string obstacle = error ? error.message() : why_not_writable(path_);
  if (!obstacle.empty())
    throw InputError(fmt::format("{}exchange.dir = {} can not be written to ({}): choose another folder",
                                 deck.where("exchange.dir"), path_.string(), obstacle));
}

std::filesystem::path ExchangeFolder::weights(std::int64_t version) const {
  return path_ / fmt::format("weights-{:06}.h5", version);
}

std::int64_t ExchangeFolder::last_version() const {
  std::int64_t last = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(path_, ignored)) {
    long long version = 0;
    char tail[4] = {};
    if (std::sscanf(entry.path().filename().c_str(), "weights-%lld.%3s", &version, tail) == 2 &&
        std::string(tail) == "h5")
      last = std::max<std::int64_t>(last, version);
  }
  return last;
}

Claim::Terms ExchangeFolder::terms(const std::string& role, std::uint64_t token, const std::string& what) const {
  Claim::Terms terms;
  terms.claim = path_ / (role + ".claim");
  terms.note = note(role);
  terms.token = token;
  terms.silence_seconds = deck_.exchange.silence;
  terms.refusal = [start = fmt::format("{}exchange.dir = {}", deck_.where("exchange.dir"), path_.string()), role,
                   what](const std::string& holder) {
    return fmt::format("{}: a {} is at work there already ({}); {}", start, role, holder, what);
  };
  return terms;
}

nlohmann::ordered_json note_head(const std::string& role, std::uint64_t token) {
  return {{"format", kExchangeFormat},
          {"protocol", kExchangeProtocol},
          {"role", role},
          {"version", TRAMONTANE_VERSION},
          {"token", token_text(token)},
          {"identity", ProcessIdentity::own().to_json()}};
}

}  // namespace tramontane
