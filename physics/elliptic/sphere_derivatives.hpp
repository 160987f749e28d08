/// Gradient, vorticity and divergence of fields on the whole cubed sphere.
#pragma once

#include <array>
#include <vector>

#include "physics/cubed_sphere.hpp"
#include "physics/elliptic/ghost_interpolation.hpp"

namespace tramontane {

/// Centre of cell (panel, j, i) on a grid of n cells per panel edge.
inline PanelPoint cell_centre(int n, int panel, int j, int i) {
  const double cell = 2 * kQuarterPi / n;
  return {panel, -kQuarterPi + (i + 0.5) * cell, -kQuarterPi + (j + 0.5) * cell};
}

/// Samples a function of the unit vector at every cell centre: field of shape (6, n, n).
template <class Function>
std::vector<double> sample_centres(int n, const Function& f) {
  std::vector<double> field;
  field.reserve(static_cast<std::size_t>(kPanels) * n * n);
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = 0; j < n; ++j)
      for (int i = 0; i < n; ++i) field.push_back(f(to_cartesian(cell_centre(n, panel, j, i))));
  return field;
}

/// Solid angles of the cells, shape (6, n, n), exact; they add up to 4 pi.
std::vector<double> cell_areas(int n);

/// Area-weighted mean of a field of shape (6, n, n).
double area_mean(const std::vector<double>& field, int n);

/// Cartesian components of a vector field on the sphere, each of shape (6, n, n).
using VectorField = std::array<std::vector<double>, 3>;

/// Fourth-order derivatives of point values at the cell centres, fields of shape (6, n, n), on a sphere of the given
/// radius (m). Differences over five points in the panel angles; values beyond a panel's edge by GhostInterpolation.
/// Vectors are Cartesian, hence scalars to the interpolation, and are projected on the panel's own basis afterwards: a
/// component never crosses from one basis to another.
class SphereDerivatives {
 public:
  explicit SphereDerivatives(int n, double radius = kEarthRadius);

  int n() const { return ghosts_.n(); }
  double radius() const { return radius_; }

  /// Gradient, tangent to the sphere, in units of the field per metre.
  VectorField gradient(const std::vector<double>& field) const;
  /// Radial part of the curl of a tangent vector, per second for a wind in m/s.
  std::vector<double> vorticity(const VectorField& v) const;
  /// Divergence of a tangent vector.
  std::vector<double> divergence(const VectorField& v) const;
  /// k x grad(psi): the wind (m/s) of a stream function (m2/s).
  VectorField rotational_wind(const std::vector<double>& stream_function) const;

 private:
  GhostInterpolation ghosts_;
  double radius_;
};

}  // namespace tramontane
