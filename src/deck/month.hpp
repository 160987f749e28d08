/// A calendar month, as decks write it: 1983-01.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace tramontane {

struct Month {
  int year = 1983;
  int month = 1;  ///< 1..12
  auto operator<=>(const Month&) const = default;

  /// The month as one number, YYYYMM.
  int number() const { return year * 100 + month; }
  /// The month as text, YYYY-MM.
  std::string text() const;
  /// Months since the year 0, for differences.
  int ordinal() const { return year * 12 + month - 1; }
};

/// Reads YYYY-MM; nothing when the text is not a month.
std::optional<Month> parse_month(std::string_view text);

}  // namespace tramontane
