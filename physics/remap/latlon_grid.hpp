/// Longitude-latitude grids that cover the sphere.
#pragma once

#include <vector>

namespace tramontane {

/// Centres and bounds in degrees, both axes ascending. A field on the grid has shape (nlat, nlon), longitude last.
struct LatLonGrid {
  std::vector<double> lon, lat;
  std::vector<double> lon_bounds;  ///< nlon + 1 values, the last is the first plus 360
  std::vector<double> lat_bounds;  ///< nlat + 1 values from -90 to 90

  int nlon() const { return static_cast<int>(lon.size()); }
  int nlat() const { return static_cast<int>(lat.size()); }
  int size() const { return nlon() * nlat(); }

  /// Cells of `degrees` by `degrees`, the first with its west and south bounds at longitude 0 and latitude -90. Throws
  /// InputError unless 180 is a whole number of `degrees` (then so is 360).
  static LatLonGrid regular(double degrees);

  /// Grid from its centres: bounds halfway between neighbours, the latitude bounds closed at the poles, so that a row
  /// of centres on a pole gets the half cell that it stands for. Throws InputError when the centres do not ascend,
  /// longitudes span 360 degrees or more, or latitudes leave -90..90.
  static LatLonGrid from_centres(std::vector<double> lon, std::vector<double> lat);

  /// Solid angles of the cells, shape (nlat, nlon), exact; they add up to 4 pi.
  std::vector<double> areas() const;
};

}  // namespace tramontane
