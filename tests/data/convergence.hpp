/// Errors and slopes on the cubed sphere, for tests.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "physics/elliptic/sphere_derivatives.hpp"

namespace tramontane::testing {

/// Largest |a - b| over largest |b|.
inline double relative_error(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  double error = 0, scale = 0;
  for (std::size_t k = 0; k < b.size(); ++k) {
    error = std::max(error, std::abs(a[k] - b[k]));
    scale = std::max(scale, std::abs(b[k]));
  }
  return error / scale;
}

inline double relative_error(const VectorField& a, const VectorField& b) {
  double error = 0, scale = 0;
  for (std::size_t k = 0; k < b[0].size(); ++k) {
    double e2 = 0, s2 = 0;
    for (int m = 0; m < 3; ++m) {
      e2 += std::pow(a[m][k] - b[m][k], 2);
      s2 += std::pow(b[m][k], 2);
    }
    error = std::max(error, std::sqrt(e2));
    scale = std::max(scale, std::sqrt(s2));
  }
  return error / scale;
}

/// Smallest order between neighbours of a list of errors on grids refined by two each time; prints them.
inline double smallest_slope(const std::vector<double>& errors) {
  double smallest = 1e9;
  for (std::size_t k = 1; k < errors.size(); ++k) smallest = std::min(smallest, std::log2(errors[k - 1] / errors[k]));
  std::string text = "errors";
  char buffer[32];
  for (double e : errors) {
    std::snprintf(buffer, sizeof buffer, " %.3e", e);
    text += buffer;
  }
  std::printf("    %s, smallest slope %.2f\n", text.c_str(), smallest);
  return smallest;
}

/// A vector field sampled at the cell centres from f(r) -> Vector3.
template <class Function>
VectorField sample_vectors(int n, const Function& f) {
  return {sample_centres(n, [&](Vector3 r) { return f(r).x; }), sample_centres(n, [&](Vector3 r) { return f(r).y; }),
          sample_centres(n, [&](Vector3 r) { return f(r).z; })};
}

/// A rotation of the sphere that lines nothing up with panels: functions of it cross edges and corners at odd angles.
inline Vector3 tilted(Vector3 r) {
  const Vector3 ex = normalised({0.36, 0.48, -0.8}), ey = normalised(cross({0.1, 0.7, 0.3}, ex)), ez = cross(ex, ey);
  return {dot(ex, r), dot(ey, r), dot(ez, r)};
}

}  // namespace tramontane::testing
