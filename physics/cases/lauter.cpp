#include "physics/cases/lauter.hpp"

namespace tramontane {

AnalyticCase lauter() {
  constexpr double geopotential = 133681.0;  // m2 s-2, k1 of the paper
  constexpr double turn = kEarthRadius * kEarthRotation;
  const double speed = 2 * std::numbers::pi * kEarthRadius / (12 * 86400.0);
  const double tilt = kQuarterPi;
  AnalyticCase out;
  out.orography = [=](Vector3 r) { return turn * r.z * turn * r.z / (2 * kGravity); };
  out.state = [=](Vector3 r, double time) {
    const double angle = kEarthRotation * time;
    const Vector3 axis{-std::sin(tilt) * std::cos(angle), std::sin(tilt) * std::sin(angle), std::cos(tilt)};
    const double spin = speed * dot(axis, r) + turn * r.z;  // of the fluid seen from space
    return PointState{(geopotential - 0.5 * spin * spin) / kGravity, speed * cross(axis, r)};
  };
  // Mean of the surface: the spin's axis is speed * axis + turn * pole, and the mean of (axis . r)^2 is a third.
  out.reference_height = (geopotential - (speed * speed + 2 * speed * turn * std::cos(tilt)) / 6) / kGravity;
  out.exact = true;
  return out;
}

}  // namespace tramontane
