/// Initial states: analytic cases as cell averages, and states from given cell means.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "physics/shallow_water.hpp"

namespace tramontane {

/// What a case prescribes at a point of the sphere.
struct PointState {
  double depth;      ///< fluid depth h, m
  Vector3 velocity;  ///< Cartesian, tangent to the sphere, m s-1
};

/// An analytic case: orography and state as functions of the direction, the rotation that goes with them, and
/// whether the state is an exact steady solution.
struct AnalyticCase {
  std::function<double(Vector3)> orography;  ///< m
  std::function<PointState(Vector3)> state;
  Vector3 rotation{0.0, 0.0, kEarthRotation};  ///< of the sphere, s-1
  double reference_height = 0.0;            ///< m, near the mean free surface
  bool steady = false;
};

/// Williamson et al. 1992 case 2: steady zonal geostrophic flow, its axis tilted by alpha (radians).
AnalyticCase williamson2(double alpha);

/// A fluid at rest, its surface at `height` (m), over the given orography.
AnalyticCase resting(double height, std::function<double(Vector3)> orography);

/// The isolated cone of Williamson et al. 1992 case 5, m.
double williamson5_mountain(Vector3 r);

/// Cell averages of a function, weighted by sqrt_g, on owned tiles (tile, j, i): five-point Gauss quadrature.
std::vector<double> cell_means(const Grid& grid, const std::function<double(Vector3)>& f);

/// Sets E and M of every level from point values by Gauss quadrature over each cell. The orography of the case must be
/// the solver's.
void set_state(const ShallowWater& solver, const AnalyticCase& state_case, const State& state);

/// Depth and velocity as cell means, for output and coupling: velocity is that of the mean momentum, its Cartesian
/// components taken in the basis at the cell's angular centre.
struct CellFields {
  std::vector<double> depth;        ///< m, (tile, j, i)
  std::vector<double> velocity[3];  ///< m s-1, Cartesian
};

/// Sets a state from cell means of depth and Cartesian velocity on owned tiles (inverse of cell_fields).
void set_state(const ShallowWater& solver, const CellFields& fields, const State& state);

/// Reads depth and velocity of one level back.
CellFields cell_fields(const ShallowWater& solver, const State& state, int level = 0);

/// Eastward and northward components of a Cartesian velocity on owned tiles.
struct HorizontalWind {
  std::vector<double> eastward, northward;
};
HorizontalWind horizontal_wind(const Grid& grid, const CellFields& fields);

}  // namespace tramontane
