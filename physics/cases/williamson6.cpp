#include "physics/cases/williamson6.hpp"

namespace tramontane {

AnalyticCase williamson6() {
  constexpr double omega = 7.848e-6, amplitude = 7.848e-6, pole = 8000.0, rotation = kEarthRotation;
  constexpr double a2 = kEarthRadius * kEarthRadius, k2 = amplitude * amplitude;
  AnalyticCase out;
  out.orography = [](Vector3) { return 0.0; };
  out.state = [=](Vector3 r, double) {
    const double xx = r.x * r.x, yy = r.y * r.y, c2 = xx + yy, c4 = c2 * c2, c6 = c4 * c2;
    const double wave = (xx * xx + yy * yy) - 6 * (xx * yy);  // cos^4(lat) cos(4 lon)
    const double wave2 = 2 * wave * wave - c4 * c4;           // cos^8(lat) cos(8 lon)
    const double first = 0.5 * omega * (2 * rotation + omega) * c2 + 0.25 * k2 * c6 * (5 * c4 + 26 * c2 - 32);
    const double second = 2 * (rotation + omega) * amplitude / 30 * (26 - 25 * c2) * wave;
    const double third = 0.25 * k2 * (5 * c2 - 6) * wave2;
    // Velocity is r x grad(psi) / a; the radial part of the gradient of an extension of psi drops out.
    const Vector3 gradient{amplitude * r.z * 4 * r.x * (xx - 3 * yy), amplitude * r.z * 4 * r.y * (yy - 3 * xx),
                           amplitude * wave - omega};
    return PointState{pole + a2 * (first + second + third) / kGravity, kEarthRadius * cross(r, gradient)};
  };
  out.reference_height = 9500.0;
  return out;
}

}  // namespace tramontane
