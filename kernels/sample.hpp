/// One training sample on the coarse grid, as the stream delivers it and the archive stores it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/sample_values.hpp"

namespace tramontane {

/// A named quantity with its unit, in the order in which samples hold it.
struct Variable {
  std::string name, units, long_name;
  bool operator==(const Variable&) const = default;
};

/// Inputs and targets of the correction surrogate, all on cell averages of the coarse grid. Velocity is a Cartesian
/// 3-vector. The surface's height, not the depth: it is smooth over mountains, and its slope is what drives the flow.
inline const std::vector<Variable>& sample_inputs() {
  static const std::vector<Variable> list = {
      {"surface_height", "m", "height of the free surface: fluid depth plus orography"},
      {"u_x", "m s-1", "velocity along x (longitude 0, equator)"},
      {"u_y", "m s-1", "velocity along y (longitude 90 east, equator)"},
      {"u_z", "m s-1", "velocity along z (north pole)"},
      {"orography", "m", "height of the orography"},
  };
  return list;
}
inline const std::vector<Variable>& sample_targets() {
  static const std::vector<Variable> list = {
      {"h_tendency", "m s-1", "correction tendency of the fluid depth"},
      {"u_x_tendency", "m s-2", "correction tendency of the velocity along x"},
      {"u_y_tendency", "m s-2", "correction tendency of the velocity along y"},
      {"u_z_tendency", "m s-2", "correction tendency of the velocity along z"},
  };
  return list;
}

/// First of the three components of the vector among inputs and among targets.
inline constexpr int kInputVector = 1;
inline constexpr int kTargetVector = 1;

/// What identifies a sample: its number in the stream, the trajectory (start month) it belongs to and model time.
struct SampleInfo {
  std::int64_t number = -1;     ///< counts from 0 over the whole run
  std::int32_t trajectory = 0;  ///< which start month, counted over teach.months then teach.validation
  std::int32_t validation = 0;  ///< 1: held out, never trained on
  std::int32_t month = 0;       ///< start month as YYYYMM
  double time = 0;              ///< s since the start of the trajectory
};

/// A whole sample: input (inputs, 6, n, n), target (targets, 6, n, n), single precision.
struct Sample {
  SampleInfo info;
  int n = 0;
  SampleValues input, target;
};

}  // namespace tramontane
