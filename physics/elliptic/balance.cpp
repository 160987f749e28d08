#include "physics/elliptic/balance.hpp"

#include "physics/elliptic/elliptic_solver.hpp"

namespace tramontane {

std::vector<double> stream_function(const VectorField& wind, int n) {
  return EllipticSolver(n, 0, 1).solve(SphereDerivatives(n).vorticity(wind));
}

std::vector<double> balanced_height(const std::vector<double>& psi, int n, double mean_height) {
  const EllipticSolver laplacian(n, 0, 1);
  const SphereDerivatives derivatives(n);
  const std::vector<double> zeta = laplacian.apply(psi);
  std::vector<double> absolute = sample_centres(n, [](Vector3 r) { return 2 * kEarthRotation * r.z; });
  for (std::size_t c = 0; c < psi.size(); ++c) absolute[c] += zeta[c];
  const VectorField slope = derivatives.gradient(psi), absolute_slope = derivatives.gradient(absolute);
  std::vector<double> source(psi.size()), kinetic(psi.size());
  for (std::size_t c = 0; c < psi.size(); ++c) {
    const Vector3 s{slope[0][c], slope[1][c], slope[2][c]};
    source[c] = absolute[c] * zeta[c] + dot(s, {absolute_slope[0][c], absolute_slope[1][c], absolute_slope[2][c]});
    kinetic[c] = 0.5 * dot(s, s);  // |k x grad(psi)| = |grad(psi)|
  }
  std::vector<double> height = laplacian.solve(source);
  for (std::size_t c = 0; c < psi.size(); ++c) height[c] = (height[c] - kinetic[c]) / kGravity;
  const double shift = mean_height - area_mean(height, n);
  for (double& h : height) h += shift;
  return height;
}

}  // namespace tramontane
