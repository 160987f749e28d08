/// The equiangular gnomonic cubed sphere: pure functions on the unit sphere, no grid.
///
/// Panel coordinates are the angles (alpha, beta) in [-pi/4, pi/4]; X = tan(alpha), Y = tan(beta),
/// delta^2 = 1 + X^2 + Y^2. On every panel (e_alpha, e_beta, outward) is right-handed. The formulas hold beyond the
/// panel's edges too (|angle| < pi/2), which is what ghost cells rest on.
/// Source: Ronchi, Iacono and Paolucci 1996, J. Comput. Phys. 124; Nair, Thomas and Loft 2005, MWR 133.
#pragma once

#include <Kokkos_Core.hpp>
#include <cmath>
#include <numbers>

#include "kernels/panel_topology.hpp"

namespace tramontane {

inline constexpr double kEarthRadius = 6.37122e6;   ///< m (Williamson et al. 1992)
inline constexpr double kGravity = 9.80616;         ///< m s-2
inline constexpr double kEarthRotation = 7.292e-5;  ///< rad s-1
inline constexpr double kQuarterPi = std::numbers::pi / 4;

struct Vector3 {
  double x, y, z;
};

KOKKOS_INLINE_FUNCTION constexpr Vector3 operator+(Vector3 a, Vector3 b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z};
}
KOKKOS_INLINE_FUNCTION constexpr Vector3 operator-(Vector3 a, Vector3 b) {
  return {a.x - b.x, a.y - b.y, a.z - b.z};
}
KOKKOS_INLINE_FUNCTION constexpr Vector3 operator*(double s, Vector3 a) {
  return {s * a.x, s * a.y, s * a.z};
}
KOKKOS_INLINE_FUNCTION constexpr double dot(Vector3 a, Vector3 b) {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}
KOKKOS_INLINE_FUNCTION constexpr Vector3 cross(Vector3 a, Vector3 b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
inline double length(Vector3 a) {
  return std::sqrt(dot(a, a));
}
inline Vector3 normalised(Vector3 a) {
  return (1.0 / length(a)) * a;
}

/// Position on a panel: angles in radians.
struct PanelPoint {
  int panel;
  double alpha, beta;
};

struct LonLat {
  double longitude, latitude;  ///< radians, longitude in [0, 2 pi)
};

/// The axes of a panel: centre, direction of +X and direction of +Y. The outward point is (centre + X ex + Y ey)/delta.
struct PanelAxes {
  Vector3 centre, ex, ey;
};

constexpr PanelAxes panel_axes(int panel) {
  constexpr PanelAxes table[kPanels] = {
      {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},  {{0, 1, 0}, {-1, 0, 0}, {0, 0, 1}}, {{-1, 0, 0}, {0, -1, 0}, {0, 0, 1}},
      {{0, -1, 0}, {1, 0, 0}, {0, 0, 1}}, {{0, 0, 1}, {0, 1, 0}, {-1, 0, 0}}, {{0, 0, -1}, {0, 1, 0}, {1, 0, 0}},
  };
  return table[panel];
}

/// Unit vector to the point.
inline Vector3 to_cartesian(PanelPoint p) {
  const PanelAxes axes = panel_axes(p.panel);
  const double x = std::tan(p.alpha), y = std::tan(p.beta);
  return (1.0 / std::sqrt(1.0 + x * x + y * y)) * (axes.centre + x * axes.ex + y * axes.ey);
}

/// Angles of a direction on a given panel; the direction must lie in the panel's hemisphere.
inline PanelPoint to_panel(Vector3 r, int panel) {
  const PanelAxes axes = panel_axes(panel);
  const double depth = dot(r, axes.centre);
  return {panel, std::atan2(dot(r, axes.ex), depth), std::atan2(dot(r, axes.ey), depth)};
}

/// The panel that holds a direction (ties on an edge go to the lower panel number), and the angles there.
inline PanelPoint to_panel(Vector3 r) {
  int best = 0;
  for (int panel = 1; panel < kPanels; ++panel)
    if (dot(r, panel_axes(panel).centre) > dot(r, panel_axes(best).centre)) best = panel;
  return to_panel(r, best);
}

inline LonLat to_lonlat(Vector3 r) {
  double longitude = std::atan2(r.y, r.x);
  if (longitude < 0) longitude += 2 * std::numbers::pi;
  return {longitude, std::atan2(r.z, std::sqrt(r.x * r.x + r.y * r.y))};
}

inline Vector3 to_cartesian(LonLat p) {
  return {std::cos(p.latitude) * std::cos(p.longitude), std::cos(p.latitude) * std::sin(p.longitude),
          std::sin(p.latitude)};
}

/// Unit vectors to the east and to the north at a point (at a pole: the limit along longitude 0).
inline Vector3 east_vector(Vector3 r) {
  const double s = std::sqrt(r.x * r.x + r.y * r.y);
  return s > 1e-14 ? Vector3{-r.y / s, r.x / s, 0.0} : Vector3{0.0, 1.0, 0.0};
}
inline Vector3 north_vector(Vector3 r) {
  return cross(r, east_vector(r));
}

/// Metric of the panel coordinates at X = tan(alpha), Y = tan(beta), unit sphere, per radian.
struct Metric {
  double sqrt_g;            ///< area per d(alpha) d(beta)
  double g_aa, g_ab, g_bb;  ///< covariant components
  double h_aa, h_ab, h_bb;  ///< contravariant components G^ij
};

KOKKOS_INLINE_FUNCTION Metric metric_at(double x, double y) {
  const double xx = 1.0 + x * x, yy = 1.0 + y * y, d2 = 1.0 + x * x + y * y, d = std::sqrt(d2);
  const double common = xx * yy / (d2 * d2);
  return {xx * yy / (d2 * d), common * xx, -common * x * y, common * yy, d2 / xx, d2 * x * y / (xx * yy), d2 / yy};
}

/// Covariant basis vectors d(r)/d(alpha) and d(r)/d(beta) on the unit sphere.
struct Basis {
  Vector3 alpha, beta;
};

inline Basis basis_at(PanelPoint p) {
  const PanelAxes axes = panel_axes(p.panel);
  const double x = std::tan(p.alpha), y = std::tan(p.beta);
  const double d2 = 1.0 + x * x + y * y, d = std::sqrt(d2);
  const Vector3 r = (1.0 / d) * (axes.centre + x * axes.ex + y * axes.ey);
  return {(1.0 + x * x) * ((1.0 / d) * axes.ex - (x / d2) * r), (1.0 + y * y) * ((1.0 / d) * axes.ey - (y / d2) * r)};
}

/// Contravariant components (u^alpha, u^beta) of a tangent Cartesian vector; a normal part is ignored.
struct Contravariant {
  double alpha, beta;
};

inline Contravariant to_contravariant(Vector3 v, PanelPoint p) {
  const Basis b = basis_at(p);
  const double aa = dot(b.alpha, b.alpha), ab = dot(b.alpha, b.beta), bb = dot(b.beta, b.beta);
  const double va = dot(v, b.alpha), vb = dot(v, b.beta), det = aa * bb - ab * ab;
  return {(bb * va - ab * vb) / det, (aa * vb - ab * va) / det};
}

inline Vector3 to_vector(Contravariant u, PanelPoint p) {
  const Basis b = basis_at(p);
  return u.alpha * b.alpha + u.beta * b.beta;
}

/// Solid angle of the cell [alpha0, alpha1] x [beta0, beta1], exact. From the antiderivative of sqrt_g:
/// the area between the panel centre and (X, Y) is atan(X Y / delta).
inline double cell_solid_angle(double alpha0, double alpha1, double beta0, double beta1) {
  auto corner = [](double alpha, double beta) {
    const double x = std::tan(alpha), y = std::tan(beta);
    return std::atan(x * y / std::sqrt(1.0 + x * x + y * y));
  };
  return (corner(alpha1, beta1) - corner(alpha0, beta1)) - (corner(alpha1, beta0) - corner(alpha0, beta0));
}

}  // namespace tramontane
