#include "physics/cases/williamson2.hpp"

namespace tramontane {

AnalyticCase williamson2(double alpha) {
  constexpr double geopotential = 2.94e4;  // m2 s-2
  const double speed = 2 * std::numbers::pi * kEarthRadius / (12 * 86400.0);
  const Vector3 axis{-std::sin(alpha), 0.0, std::cos(alpha)};  // of the flow and of the rotation
  AnalyticCase out;
  out.orography = [](Vector3) { return 0.0; };
  out.rotation = kEarthRotation * axis;
  out.state = [=](Vector3 r, double) {
    const double s = dot(axis, r);
    const double phi = geopotential - (kEarthRadius * kEarthRotation * speed + 0.5 * speed * speed) * s * s;
    return PointState{phi / kGravity, speed * cross(axis, r)};
  };
  out.reference_height = 2500.0;
  out.exact = true;
  out.steady = true;
  return out;
}

}  // namespace tramontane
