/// The files that a deck names: whether they are there and hold what the run will read.
#pragma once

#include <string>
#include <vector>

#include "src/deck/layout.hpp"

namespace tramontane {

/// Months that a file of monthly winds covers.
struct WindFileMonths {
  Month first, last;
  bool holds(const Month& month) const { return first <= month && month <= last; }
};

/// Opens the file of winds (classic netCDF) and reads the months from its time axis, without reading any winds.
/// Throws InputError naming the file when it is missing, not netCDF, or lacks UWND, VWND or TIME.
WindFileMonths read_wind_months(const std::string& file);

/// Throws InputError when the relief file is missing or lacks ROSE.
void check_relief_file(const std::string& file);

/// Months whose winds the command will read, each with the key that asks for it.
struct WantedMonth {
  std::string key;
  Month month;
};
std::vector<WantedMonth> wanted_months(const Deck& deck, Command command);

/// Whether the command reads the winds, and the relief.
bool reads_winds(const Deck& deck, Command command);
bool reads_relief(const Deck& deck, Command command);

/// Checks every file that the command reads: data, archives, the saved model (that it is there and is HDF5). Serial:
/// call on one rank. Throws InputError on the first that does not fit, or when a wanted month is outside the winds.
void check_input_files(const Deck& deck, Command command);

}  // namespace tramontane
