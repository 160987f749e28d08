/// Which start months are held out of training: whole trajectories, never single samples of one.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tramontane {

/// Samples of one trajectory are alike from hour to hour: a share of all samples, held out at random, would measure
/// memory. So the rule speaks of months only, and a month that is held out is so in every archive.
struct HeldOutRule {
  enum class Kind { as_marked, share, months };
  Kind kind = Kind::as_marked;
  double share = 0;      ///< of the months, rounded up; at least one month is left to train on
  std::set<int> months;  ///< YYYYMM

  /// Reads learner.validation: the word archive, one number between 0 and 1, or months YYYY-MM; an empty list holds
  /// out nothing. Nothing when it is none of these.
  static std::optional<HeldOutRule> parse(const std::vector<std::string>& words);

  /// The months to hold out of those there are.
  /// @param there every month (YYYYMM) that an archive holds
  /// @param marked those of them that an archive marks as held out
  /// @param seed of the choice of a share
  /// Throws InputError when a named month is not there, or when no month is left to train on.
  std::set<int> choose(const std::set<int>& there, const std::set<int>& marked, std::uint64_t seed) const;
};

/// 199001 as 1990-01.
std::string month_text(int month);

}  // namespace tramontane
