#include "physics/data/month.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <regex>

#include "kernels/errors.hpp"

namespace tramontane {

std::string DataMonth::text() const {
  return fmt::format("{:04d}-{:02d}", year, month);
}

DataMonth parse_month(const std::string& text) {
  static const std::regex form(R"((\d{4})-(\d{2}))");
  std::smatch part;
  if (std::regex_match(text, part, form)) {
    const DataMonth month{std::stoi(part[1]), std::stoi(part[2])};
    if (month.month >= 1 && month.month <= 12) return month;
  }
  throw InputError(fmt::format("'{}' is not a month: write it as YYYY-MM, for example 1983-01", text));
}

std::vector<DataMonth> months_of_axis(const std::vector<double>& values, const std::string& units) {
  static const std::regex form(
      R"(\s*(sec|second|min|minute|h|hr|hour|d|day)s?\s+since\s+(\d{1,4})-(\d{1,2})-(\d{1,2})(?:[T\s]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.\d*)?)?)?.*)",
      std::regex::icase);
  std::smatch part;
  if (!std::regex_match(units, part, form))
    throw InputError(
        fmt::format("the time units '{}' are not understood: they must read like 'hours since 1980-01-01'", units));
  auto number = [&](int k) { return part[k].matched ? std::stoi(part[k]) : 0; };
  const char unit = static_cast<char>(std::tolower(part[1].str()[0]));
  const double seconds_per_unit = unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600 : 86400;
  using namespace std::chrono;
  const sys_seconds origin = sys_days(year_month_day(year(number(2)), month(number(3)), day(number(4)))) +
                             hours(number(5)) + minutes(number(6)) + seconds(number(7));
  std::vector<DataMonth> months;
  for (double value : values) {
    const sys_seconds time = origin + seconds(std::llround(value * seconds_per_unit));
    const year_month_day date(floor<days>(time));
    months.push_back({static_cast<int>(date.year()), static_cast<int>(static_cast<unsigned>(date.month()))});
  }
  return months;
}

}  // namespace tramontane
