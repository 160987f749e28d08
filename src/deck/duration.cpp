#include "src/deck/duration.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace tramontane {
namespace {

constexpr std::array<std::pair<std::string_view, double>, 4> kUnits = {
    {{"d", 86400.0}, {"h", 3600.0}, {"min", 60.0}, {"s", 1.0}}};

}  // namespace

std::optional<double> parse_duration(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value) || value < 0) return {};
  std::string_view unit(end, text.data() + text.size() - end);
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  if (unit.empty()) return value;
  for (const auto& [name, seconds] : kUnits)
    if (unit == name) return value * seconds;
  return {};
}

std::string duration_text(double seconds) {
  for (const auto& [name, unit] : kUnits)
    if (seconds >= unit && std::fmod(seconds, unit) == 0) return fmt::format("{}{}", seconds / unit, name);
  return fmt::format("{}s", seconds);
}

}  // namespace tramontane
