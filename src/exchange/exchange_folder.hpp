/// The folder through which a solver job and a learner job meet (exchange.dir). docs/design/two-jobs.md has the whole
/// protocol.
///
///   solver.claim, learner.claim   who holds the role (Claim)
///   solver.json, learner.json     what they say, and that they live (Beacon)
///   archive.mark                  what may be read of the archive, and when (FlushMark)
///   weights-<version>.h5          model files, the last few
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "src/deck/deck.hpp"
#include "src/exchange/claim.hpp"

namespace tramontane {

inline constexpr const char* kExchangeFormat = "tramontane exchange";
/// Of notes and mark. Raised when a program that knows the older one would misread the newer one.
inline constexpr int kExchangeProtocol = 2;

class ExchangeFolder {
 public:
  /// The folder that exchange.dir names; made if it is missing. Throws InputError when that fails.
  explicit ExchangeFolder(const Deck& deck);

  const std::filesystem::path& path() const { return path_; }
  /// `role` is "solver" or "learner".
  std::filesystem::path note(const std::string& role) const { return path_ / (role + ".json"); }
  std::filesystem::path mark() const { return path_ / "archive.mark"; }
  std::filesystem::path weights(std::int64_t version) const;
  /// Of the weights file with the highest number; 0 when there is none.
  std::int64_t last_version() const;

  /// What Claim needs; `what` says in the error why a second job can not have the role.
  Claim::Terms terms(const std::string& role, std::uint64_t token, const std::string& what) const;

 private:
  const Deck& deck_;
  std::filesystem::path path_;
};

/// Members that every note begins with.
nlohmann::ordered_json note_head(const std::string& role, std::uint64_t token);

}  // namespace tramontane
