/// The initial state `winds`: a balanced flow from a month of observed surface winds, over real orography.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "physics/data/gridded_file.hpp"
#include "physics/elliptic/sphere_derivatives.hpp"

namespace tramontane {

/// Where the data lie and how they become a state. The paths are those of the Debian package ferret-datasets.
struct WindsOptions {
  std::filesystem::path winds_path = "/usr/share/ferret-vis/data/monthly_navy_winds.cdf";
  std::filesystem::path relief_path = "/usr/share/ferret-vis/data/etopo20.cdf";
  std::string eastward = "UWND", northward = "VWND";  ///< variables (time, latitude, longitude), m/s
  std::string relief = "ROSE";                        ///< variable (latitude, longitude), m
  std::string month = "1983-01";                      ///< YYYY-MM
  double layer_factor = 3.0;        ///< equivalent-barotropic factor from the surface wind to the layer's
  double mean_depth = 8000;         ///< m, area mean of the fluid's depth
  double min_depth = 500;           ///< m, a shallower state is refused
  double smoothing_length = 350e3;  ///< m, of the Gaussian filter on the stream function; at least one cell is used
  int orography_passes = 4;         ///< of smooth_conserving
};

/// Fields of shape (6, n, n).
struct WindsState {
  int n = 0;
  std::vector<double> total_height;     ///< m, fluid depth plus orography: the height of the free surface
  VectorField velocity;                 ///< m/s, Cartesian, tangent to the sphere at the cell centres
  std::vector<double> orography;        ///< m, cell means
  std::vector<double> stream_function;  ///< m2/s, of the velocity
  int filled_values = 0;                ///< missing values of the inputs that were filled
};

/// Makes the state on the calling rank alone, the whole sphere at once. The caller makes it on one rank and scatters
/// it: a solve on several ranks would sum in another order, and results must carry the same bits on any number of
/// ranks.
///
/// Steps: winds of the month -> Cartesian components -> cell centres (cubic) -> vorticity -> stream function (PETSc)
/// -> Gaussian filter (PETSc) -> times layer_factor -> velocity k x grad(psi), and total height in nonlinear balance
/// with it (PETSc), shifted so that the mean depth over the orography is mean_depth. docs/design/real-input.md has
/// the reasons. Point values at the cell centres, but for the orography; initialised PETSc (PetscSession) and MPI
/// needed.
///
/// Throws InputError when a file, variable or month is missing, when an option is out of range, and when the fluid
/// would be shallower than min_depth somewhere; RunError when a solve fails.
WindsState make_winds_state(const WindsOptions& options, int n);

/// Wind of (eastward, northward) components on a grid as Cartesian components at the cell centres. A row of centres on
/// a pole is not read, because files write the mean of a component there, which is no vector: it gets the value
/// that the means of the Cartesian wind over the two rows beside it extrapolate to, made tangent.
VectorField wind_at_centres(const LatLonGrid& grid, const std::vector<double>& eastward,
                            const std::vector<double>& northward, int n);

}  // namespace tramontane
