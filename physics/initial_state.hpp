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

/// An analytic case (physics/cases): orography, state and tracer as functions of the direction (unit vector) and of the
/// time in seconds, and the rotation of the sphere that goes with them.
struct AnalyticCase {
  std::function<double(Vector3)> orography;  ///< m
  /// At time 0 the initial state; at other times the exact solution, where `exact` says that there is one.
  std::function<PointState(Vector3, double)> state;
  /// Mixing ratio of a tracer, exact at any time; empty for a case without one.
  std::function<double(Vector3, double)> tracer;
  Vector3 rotation{0.0, 0.0, kEarthRotation};  ///< of the sphere, s-1
  double reference_height = 0.0;               ///< m, near the mean free surface
  bool exact = false;                          ///< state is the exact solution at all times
  bool steady = false;                         ///< exact, and depth and velocity do not change
};

/// The case on a planet whose axis is tilted by `alpha` (radians) against the pole of the grid, towards longitude 180
/// degrees as in Williamson et al. 1992: flow, orography and rotation together, so that only the grid's imprint
/// changes. At 45 degrees the planet's equator runs along two panel edges and over four cube corners.
AnalyticCase tilted(const AnalyticCase& original, double alpha);

/// Cell averages of a function, weighted by sqrt_g, on owned tiles (tile, j, i): five-point Gauss quadrature.
std::vector<double> cell_means(const Grid& grid, const std::function<double(Vector3)>& f);

/// Sets E and M of every level from point values at `time` (s) by Gauss quadrature over each cell. The orography of the
/// case must be the solver's.
void set_state(const ShallowWater& solver, const AnalyticCase& state_case, const State& state, double time = 0.0);

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

/// What cell_fields would read from the exact cell means at `time` (s), in double precision whatever the state's type.
CellFields exact_fields(const ShallowWater& solver, const AnalyticCase& exact_case, double time);

/// Eastward and northward components of a Cartesian velocity on owned tiles.
struct HorizontalWind {
  std::vector<double> eastward, northward;
};
HorizontalWind horizontal_wind(const Grid& grid, const CellFields& fields);

}  // namespace tramontane
