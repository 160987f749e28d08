/// Calendar months and time axes.
#pragma once

#include <string>
#include <vector>

namespace tramontane {

/// A calendar month.
struct DataMonth {
  int year, month;
  auto operator<=>(const DataMonth&) const = default;
  /// "YYYY-MM"
  std::string text() const;
  /// 198301 for January 1983: SampleInfo's way to write it.
  int number() const { return 100 * year + month; }
};

/// Reads "YYYY-MM"; throws InputError when the text is no month.
DataMonth parse_month(const std::string& text);

/// Months in which the values of a time axis lie. `units` is "<unit> since YYYY-MM-DD[ hh:mm:ss]" with seconds,
/// minutes, hours or days, Gregorian calendar. Throws InputError when the units are of another form.
std::vector<DataMonth> months_of_axis(const std::vector<double>& values, const std::string& units);

}  // namespace tramontane
