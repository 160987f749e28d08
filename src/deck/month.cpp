#include "src/deck/month.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace tramontane {

std::string Month::text() const {
  return fmt::format("{:04d}-{:02d}", year, month);
}

std::optional<Month> parse_month(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.size() != 7 || text[4] != '-') return {};
  const std::string_view year = text.substr(0, 4), month = text.substr(5, 2);
  if (!std::all_of(year.begin(), year.end(), is_digit) || !std::all_of(month.begin(), month.end(), is_digit)) return {};
  Month result;
  std::from_chars(year.data(), year.data() + year.size(), result.year);
  std::from_chars(month.data(), month.data() + month.size(), result.month);
  if (result.month < 1 || result.month > 12) return {};
  return result;
}

}  // namespace tramontane
