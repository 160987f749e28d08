#include "physics/cases/williamson1.hpp"

#include "physics/cases/williamson2.hpp"

namespace tramontane {

AnalyticCase williamson1(double alpha) {
  constexpr double radius = 1.0 / 3.0, period = 12 * 86400.0;
  AnalyticCase out = williamson2(alpha);
  const Vector3 axis = normalised(out.rotation), start{0.0, -1.0, 0.0}, ahead = cross(axis, start);
  out.tracer = [=](Vector3 r, double time) {
    const double angle = 2 * std::numbers::pi * time / period;
    const Vector3 centre = std::cos(angle) * start + std::sin(angle) * ahead;
    // From sine and cosine: the arc cosine alone loses digits near the centre.
    const double distance = std::atan2(length(cross(centre, r)), dot(centre, r));
    return distance < radius ? 0.5 * (1 + std::cos(std::numbers::pi * distance / radius)) : 0.0;
  };
  return out;
}

}  // namespace tramontane
