/// Longitude-latitude fields from classic netCDF files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "physics/remap/latlon_grid.hpp"

namespace tramontane {

/// A field as it was read, made regular: longitudes in [0, 360) ascending, no meridian twice, latitudes ascending, no
/// value missing.
struct GriddedField {
  LatLonGrid grid;
  std::vector<double> values;  ///< shape (nlat, nlon)
  std::string units;           ///< of the variable, as the file writes them
  int filled = 0;              ///< how many values were missing and were filled (fill_missing)
};

/// A classic netCDF file (CDF-1, 2 or 5), open for reading on this rank alone through PnetCDF. MPI must be
/// initialised. Every function throws InputError, one sentence that names the file, when the file does not hold what is
/// asked for.
class GriddedFile {
 public:
  /// Throws when the file is missing, is no classic netCDF file, or is shorter than its header says.
  explicit GriddedFile(std::filesystem::path path);
  ~GriddedFile();
  GriddedFile(const GriddedFile&) = delete;
  GriddedFile& operator=(const GriddedFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// Names of the variables that are fields: those with two or more dimensions.
  std::vector<std::string> fields() const;

  /// Reads a variable (latitude, longitude) or (time, latitude, longitude); `step` is the time index. Missing are
  /// values equal to the attributes missing_value or _FillValue, and what is not finite; scale_factor and add_offset
  /// are applied. A last meridian that lies 360 degrees from the first, as relief files have it, is dropped.
  GriddedField read(const std::string& variable, int step = 0) const;

  /// Time index of a month "YYYY-MM" on the time axis of a variable: the step whose date lies in it. Throws when the
  /// text is no month or the month is not in the file, and names the range that is.
  int month_step(const std::string& variable, const std::string& month) const;

 private:
  int find(const std::string& variable) const;
  std::vector<double> read_axis(int dimension) const;
  std::string text_attribute(int variable, const char* name) const;
  void check(int status, const std::string& what) const;

  std::filesystem::path path_;
  int file_ = -1;
};

}  // namespace tramontane
