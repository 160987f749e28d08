/// The cells of a cubed-sphere grid as CF files describe them.
#pragma once

#include <vector>

namespace tramontane {

/// Cells of a cubed sphere. Global fields (6, n, n); vertices (6, n, n, 4), counter-clockwise seen from above.
struct CfGrid {
  int n = 0;
  std::vector<double> lon, lat;                    ///< degrees; longitude in [0, 360)
  std::vector<double> lon_vertices, lat_vertices;  ///< degrees; longitude within 180 of the cell's own
  std::vector<double> area;                        ///< m2
  std::vector<double> angles;                      ///< (n), panel angle of the cell centres along x and y, degrees
};

/// The equiangular gnomonic grid on a sphere of Earth's radius; centres at the angular midpoints, areas exact.
CfGrid cubed_sphere_cf_grid(int n);

}  // namespace tramontane
