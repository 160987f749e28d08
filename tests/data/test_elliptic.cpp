#include <gtest/gtest.h>
#include <petscsys.h>

#include "convergence.hpp"
#include "kernels/errors.hpp"
#include "physics/elliptic/balance.hpp"
#include "physics/elliptic/elliptic_solver.hpp"

namespace tramontane {
namespace {

using testing::relative_error;
using testing::sample_vectors;
using testing::smallest_slope;
using testing::tilted;

// Spherical harmonics as harmonic polynomials: their Laplacian is -l (l + 1) times themselves.
double harmonic2(Vector3 r) {
  return r.x * r.y;
}
double harmonic5(Vector3 r) {
  return r.x * r.y * r.z * (r.x * r.x - r.y * r.y);
}
double harmonic6(Vector3 r) {  // real part of (x + i y)^6
  const double x = r.x, y = r.y;
  return std::pow(x, 6) - 15 * std::pow(x, 4) * y * y + 15 * x * x * std::pow(y, 4) - std::pow(y, 6);
}
struct Harmonic {
  double (*value)(Vector3);
  int degree;
};
constexpr Harmonic kHarmonics[] = {{harmonic2, 2}, {harmonic5, 5}, {harmonic6, 6}};

TEST(GhostInterpolation, WeightsAddUpToOne) {
  const int n = 11, depth = 3;
  const GhostInterpolation ghosts(n, depth);
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = -depth; j < n + depth; ++j)
      for (int i = -depth; i < n + depth; ++i) {
        double sum = 0;
        for (const Term& t : ghosts.terms(panel, j, i)) sum += t.weight;
        EXPECT_NEAR(sum, 1, 1e-14) << panel << " " << j << " " << i;  // up to 12 terms of order 1
      }
}

// All ghost points, corners included, to the sixth order of six points. 5.5 leaves room for coarse grids, on which the
// next order still shows.
TEST(GhostInterpolation, IsSixthOrderIncludingCorners) {
  std::vector<double> errors;
  for (int n : {12, 24, 48}) {
    const GhostInterpolation ghosts(n, 3);
    const auto f = [](Vector3 r) { return harmonic6(tilted(r)); };
    const std::vector<double> padded = ghosts.pad(sample_centres(n, f));
    double error = 0;
    std::size_t s = 0;
    for (int panel = 0; panel < kPanels; ++panel)
      for (int j = -3; j < n + 3; ++j)
        for (int i = -3; i < n + 3; ++i, ++s)
          error = std::max(error, std::abs(padded[s] - f(to_cartesian(cell_centre(n, panel, j, i)))));
    errors.push_back(error);
  }
  EXPECT_GT(smallest_slope(errors), 5.5);
}

TEST(GhostInterpolation, RefusesCoarseGrids) {
  EXPECT_THROW(GhostInterpolation(6, 2), InputError);
}

// Fourth order in the largest error, with room for what n = 24 does not resolve of degree 6.
TEST(Laplacian, ConvergesOnSphericalHarmonics) {
  for (const Harmonic& h : kHarmonics) {
    std::vector<double> errors;
    for (int n : {24, 48, 96}) {
      std::vector<double> y = sample_centres(n, [&](Vector3 r) { return h.value(tilted(r)); });
      const std::vector<double> laplacian = EllipticSolver(n, 0, 1, 2.0).apply(y);
      for (double& v : y) v *= -h.degree * (h.degree + 1) / 4.0;  // radius 2
      errors.push_back(relative_error(laplacian, y));
    }
    EXPECT_GT(smallest_slope(errors), 3.5) << "degree " << h.degree;
  }
}

TEST(Poisson, ConvergesOnSphericalHarmonics) {
  for (const Harmonic& h : kHarmonics) {
    std::vector<double> errors;
    for (int n : {24, 48, 96}) {
      const std::vector<double> exact = sample_centres(n, [&](Vector3 r) { return 3 + h.value(tilted(r)); });
      const std::vector<double> b =
          sample_centres(n, [&](Vector3 r) { return -h.degree * (h.degree + 1) * h.value(tilted(r)); });
      const EllipticSolver solver(n, 0, 1, 1.0);
      // The mean of point values differs from the integral mean by the quadrature's second order: ask for the former.
      const double mean = area_mean(exact, n);
      const std::vector<double> f = solver.solve(b, mean);
      EXPECT_LE(solver.last_residual(), 1e-11);  // 1e-12 and round-off of the residual itself
      EXPECT_NEAR(area_mean(f, n), mean, 1e-13);
      errors.push_back(relative_error(f, exact));
    }
    EXPECT_GT(smallest_slope(errors), 3.7) << "degree " << h.degree;
  }
}

// A right-hand side with a mean has no solution; what is solved is the part that has.
TEST(Poisson, IgnoresTheMeanOfTheRightHandSide) {
  const int n = 16;
  std::vector<double> b = sample_centres(n, harmonic5);
  const EllipticSolver solver(n, 0, 1, 1.0);
  const std::vector<double> f = solver.solve(b);
  for (double& v : b) v += 7;
  // The tolerance is that of the solve, relative to the larger right-hand side.
  EXPECT_LT(relative_error(solver.solve(b), f), 1e-8);
}

TEST(Helmholtz, ConvergesOnSphericalHarmonics) {
  std::vector<double> errors;
  for (int n : {24, 48, 96}) {
    const std::vector<double> exact = sample_centres(n, [](Vector3 r) { return 1 + harmonic5(tilted(r)); });
    const std::vector<double> b =
        sample_centres(n, [](Vector3 r) { return 2 + (2 + 0.1 * 30) * harmonic5(tilted(r)); });
    errors.push_back(relative_error(EllipticSolver(n, 2, -0.1, 1.0).solve(b), exact));
  }
  EXPECT_GT(smallest_slope(errors), 3.7);
}

TEST(EllipticSolver, SaysWhyItDidNotConverge) {
  PetscOptionsSetValue(nullptr, "-tramontane_ksp_max_it", "2");
  const int n = 12;
  const EllipticSolver solver(n, 0, 1);
  PetscOptionsClearValue(nullptr, "-tramontane_ksp_max_it");
  try {
    solver.solve(sample_centres(n, harmonic5));
    FAIL() << "two iterations cannot be enough";
  } catch (const RunError& error) {
    EXPECT_NE(std::string(error.what()).find("DIVERGED_ITS"), std::string::npos) << error.what();
  }
}

TEST(EllipticSolver, RefusesWhatIsNoEllipticProblem) {
  EXPECT_THROW(EllipticSolver(12, 1, 0), InputError);
  EXPECT_THROW(EllipticSolver(4, 0, 1), InputError);
}

// The factor of a harmonic is known; what is left is the Laplacian's own error, 1e-4 of 30 at n = 24 (test above).
TEST(Diffuse, DampsAHarmonicByItsFactor) {
  const int n = 24, passes = 4;
  const double length = 1e6, x = 30 * std::pow(length / kEarthRadius, 2);
  const std::vector<double> y = sample_centres(n, [](Vector3 r) { return 5 + harmonic5(r); });
  const std::vector<double> smooth = diffuse(y, n, length, passes);
  const double factor = std::pow(1 + x / passes, -passes);
  EXPECT_LT(relative_error(smooth, sample_centres(n, [&](Vector3 r) { return 5 + factor * harmonic5(r); })), 1e-5);
  EXPECT_NEAR(area_mean(smooth, n), area_mean(y, n), 1e-12);
  EXPECT_EQ(diffuse(y, n, 0), y);
  EXPECT_THROW(diffuse(y, n, -1), InputError);
}

TEST(SphereDerivatives, ConvergeOnARotatedSolidBodyAndAWave) {
  const Vector3 axis = normalised({0.3, -0.5, 0.8});
  std::vector<double> vorticity, divergence, gradient;
  for (int n : {24, 48, 96}) {
    const SphereDerivatives d(n, 1.0);
    const VectorField rotation = sample_vectors(n, [&](Vector3 r) { return cross(axis, r); });
    vorticity.push_back(
        relative_error(d.vorticity(rotation), sample_centres(n, [&](Vector3 r) { return 2 * dot(axis, r); })));
    // The tangent part of a constant vector is the gradient of axis . r, with divergence -2 axis . r.
    const VectorField tangent = sample_vectors(n, [&](Vector3 r) { return axis - dot(axis, r) * r; });
    divergence.push_back(
        relative_error(d.divergence(tangent), sample_centres(n, [&](Vector3 r) { return -2 * dot(axis, r); })));
    gradient.push_back(relative_error(d.gradient(sample_centres(n, [&](Vector3 r) { return dot(axis, r); })), tangent));
  }
  EXPECT_GT(smallest_slope(vorticity), 3.7);
  EXPECT_GT(smallest_slope(divergence), 3.7);
  EXPECT_GT(smallest_slope(gradient), 3.7);
}

TEST(SphereDerivatives, AreasAddUpToTheSphere) {
  for (int n : {9, 48}) {
    double sum = 0;
    for (double a : cell_areas(n)) sum += a;
    EXPECT_NEAR(sum, 16 * kQuarterPi, 1e-12);  // round-off of 13,824 terms
  }
}

// Williamson et al. 1992, case 2: g h = g h0 - (a Omega u0 + u0^2 / 2) sin^2(latitude) balances solid-body rotation.
TEST(BalancedHeight, ConvergesToWilliamson2) {
  const double u0 = 2 * std::numbers::pi * kEarthRadius / (12 * 86400.0);
  std::vector<double> errors;
  for (int n : {24, 48, 96}) {
    const std::vector<double> psi = sample_centres(n, [&](Vector3 r) { return -kEarthRadius * u0 * r.z; });
    const double drop = (kEarthRadius * kEarthRotation * u0 + 0.5 * u0 * u0) / kGravity;
    const std::vector<double> exact = sample_centres(n, [&](Vector3 r) { return drop * (1.0 / 3 - r.z * r.z); });
    std::vector<double> height = balanced_height(psi, n, 2000);
    EXPECT_NEAR(area_mean(height, n), 2000, 1e-9);
    for (double& h : height) h -= 2000;
    errors.push_back(relative_error(height, exact));
  }
  EXPECT_GT(smallest_slope(errors), 3.7);
}

// Case 6, the Rossby-Haurwitz wave: its height is the solution of the nonlinear balance equation (Phillips 1959).
TEST(BalancedHeight, ConvergesToWilliamson6) {
  const double w = 7.848e-6, k = 7.848e-6, a = kEarthRadius, rotation = kEarthRotation;
  const int m = 4;
  auto height = [&](Vector3 r) {
    const LonLat p = to_lonlat(r);
    const double c = std::cos(p.latitude), c2 = c * c;
    const double first =
        0.5 * w * (2 * rotation + w) * c2 +
        0.25 * k * k * std::pow(c, 2 * m - 2) * ((m + 1) * c2 * c2 + (2 * m * m - m - 2) * c2 - 2 * m * m);
    const double second =
        2 * (rotation + w) * k / ((m + 1) * (m + 2)) * std::pow(c, m) * ((m * m + 2 * m + 2) - (m + 1) * (m + 1) * c2);
    const double third = 0.25 * k * k * std::pow(c, 2 * m) * ((m + 1) * c2 - (m + 2));
    return a * a * (first + second * std::cos(m * p.longitude) + third * std::cos(2 * m * p.longitude)) / kGravity;
  };
  std::vector<double> errors;
  for (int n : {24, 48, 96}) {
    const std::vector<double> psi = sample_centres(n, [&](Vector3 r) {
      const double wave =
          r.x * r.x * r.x * r.x - 6 * r.x * r.x * r.y * r.y + r.y * r.y * r.y * r.y;  // cos^4 cos(4 lon)
      return a * a * (-w * r.z + k * r.z * wave);
    });
    const std::vector<double> exact = sample_centres(n, height);
    errors.push_back(relative_error(balanced_height(psi, n, area_mean(exact, n)), exact));
  }
  EXPECT_GT(smallest_slope(errors), 3.5);  // quadratic terms reach degree 10, less well resolved at n = 24
}

}  // namespace
}  // namespace tramontane
