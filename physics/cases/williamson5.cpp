#include "physics/cases/williamson5.hpp"

#include <algorithm>

namespace tramontane {

double williamson5_mountain(Vector3 r) {
  constexpr double radius = std::numbers::pi / 9, top = 2000.0;
  const LonLat p = to_lonlat(r);
  const double dx = p.longitude - 1.5 * std::numbers::pi, dy = p.latitude - std::numbers::pi / 6;
  return top * (1.0 - std::min(radius, std::sqrt(dx * dx + dy * dy)) / radius);
}

AnalyticCase williamson5() {
  constexpr double speed = 20.0, equator = 5960.0;
  AnalyticCase out;
  out.orography = williamson5_mountain;
  out.state = [=](Vector3 r, double) {
    const double surface =
        equator - (kEarthRadius * kEarthRotation * speed + 0.5 * speed * speed) * r.z * r.z / kGravity;
    return PointState{surface - williamson5_mountain(r), speed * cross(Vector3{0, 0, 1}, r)};
  };
  out.reference_height = 5600.0;
  return out;
}

}  // namespace tramontane
