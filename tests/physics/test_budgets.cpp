#include <gtest/gtest.h>

#include "kernels/errors.hpp"
#include "physics/cases/rest.hpp"
#include "physics/cases/williamson2.hpp"
#include "physics/integrator.hpp"
#include "physics/self_convergence.hpp"
#include "tests/precision.hpp"

namespace tramontane {
namespace {

using testing::error_bound;
using testing::order_of;
using testing::round_off;

/// A solver for a case on one rank.
struct Flow {
  std::shared_ptr<Grid> grid;
  std::unique_ptr<ShallowWater> solver;
  State state;

  Flow(int n, const AnalyticCase& c, double viscosity = 0.0) {
    grid = std::make_shared<Grid>(Tiling(n, 1, 1), 0);
    ShallowWaterOptions options;
    options.reference = kGravity * c.reference_height;
    options.rotation = c.rotation;
    options.viscosity = viscosity;
    solver = std::make_unique<ShallowWater>(grid, MPI_COMM_SELF, cell_means(*grid, c.orography), options);
    state = solver->make_state("state");
    set_state(*solver, c, state);
  }
};

/// Williamson et al. 1992, case 6: a Rossby-Haurwitz wave of wavenumber 4, tilted so that it lines up with no panel.
AnalyticCase rossby_haurwitz(double tilt) {
  constexpr double w = 7.848e-6, k = 7.848e-6, depth = 8000.0, a = kEarthRadius;
  const double s = std::sin(tilt), c = std::cos(tilt);
  AnalyticCase out;
  out.orography = [](Vector3) { return 0.0; };
  out.rotation = kEarthRotation * Vector3{-s, 0.0, c};
  out.reference_height = 9500.0;
  out.state = [=](Vector3 r, double) {
    const double turn = kEarthRotation;
    const Vector3 t{c * r.x + s * r.z, r.y, -s * r.x + c * r.z};  // in the wave's own frame
    const double c2 = t.x * t.x + t.y * t.y, c4 = c2 * c2, c8 = c4 * c4, sine = t.z, cosine = std::sqrt(c2);
    const double angle = 4 * std::atan2(t.y, t.x);
    const double east = a * w * cosine + a * k * cosine * c2 * (4 * sine * sine - c2) * std::cos(angle);
    const double north = -a * k * 4 * cosine * c2 * sine * std::sin(angle);
    const double m = w / 2 * (2 * turn + w) * c2 + k * k / 4 * (c8 * (5 * c2 + 26) - 32 * c4 * c2);
    const double b = (turn + w) * k / 15 * c4 * (26 - 25 * c2), d = k * k / 4 * c8 * (5 * c2 - 6);
    const double h = depth + a * a / kGravity * (m + b * std::cos(angle) + d * std::cos(2 * angle));
    const Vector3 v = east * east_vector(t) + north * north_vector(t);
    return PointState{h, {c * v.x - s * v.z, v.y, s * v.x + c * v.z}};
  };
  return out;
}

/// Integral over the sphere of f(mu), mu the sine of latitude about any axis, over a^2.
double zonal_integral(const std::function<double(double)>& f) {
  constexpr int pieces = 40;
  const double node = std::sqrt(0.6);
  double sum = 0;
  for (int k = 0; k < pieces; ++k) {
    const double middle = -1 + (2 * k + 1.0) / pieces, half = 1.0 / pieces;
    sum += half / 9 * (5 * f(middle - half * node) + 8 * f(middle) + 5 * f(middle + half * node));
  }
  return 2 * std::numbers::pi * sum;
}

TEST(Vorticity, IsOfFourthOrderOnTheWholeSphere) {
  // u = k x grad(psi) / a + grad(chi) / a with psi of degree 4, chi of degree 1: zeta = -20 psi / a^2. Over a depth
  // that varies, as the momentum's reconstruction must be divided by that of the depth.
  constexpr double a = kEarthRadius, strength = 1.2e8;
  const auto psi = [](Vector3 r) {
    const Vector3 e = normalised({0.36, 0.48, -0.8}), f = normalised(cross({0.1, 0.7, 0.3}, e));
    const double x = dot(e, r), y = dot(f, r);
    return x * x * x * x - 6 * x * x * y * y + y * y * y * y;
  };
  AnalyticCase c;
  c.orography = [](Vector3 r) { return 300.0 * r.x * r.y; };
  c.state = [=](Vector3 r, double) {
    const Vector3 e = normalised({0.36, 0.48, -0.8}), f = normalised(cross({0.1, 0.7, 0.3}, e));
    const double x = dot(e, r), y = dot(f, r);
    const Vector3 gradient = (4 * x * x * x - 12 * x * y * y) * e + (4 * y * y * y - 12 * x * x * y) * f;
    const Vector3 chi = Vector3{0.3, -0.2, 0.9} - dot(Vector3{0.3, -0.2, 0.9}, r) * r;
    return PointState{2000.0 + 200.0 * r.z - 300.0 * r.x * r.y, (strength / a) * cross(r, gradient) + 10.0 * chi};
  };
  c.reference_height = 2000.0;
  ErrorNorms before;
  for (int n : {12, 24, 48}) {
    Flow s(n, c);
    const auto exact = cell_means(*s.grid, [&](Vector3 r) { return -20 * strength / (a * a) * psi(r); });
    const ErrorNorms now = error_norms(*s.grid, MPI_COMM_SELF, relative_vorticity(*s.solver, s.state), exact);
    std::printf("    C%-3d vorticity l1 %.2e l2 %.2e linf %.2e\n", n, now.l1, now.l2, now.linf);
    if (n > 12) {
      EXPECT_GE(order_of(before.l2, now.l2, 2.0, 20), 3.7);  // formal order four, 0.3 off
      EXPECT_GE(order_of(before.linf, now.linf, 2.0, 100), 3.3);
    }
    before = now;
  }
}

TEST(Budgets, AreThoseOfSolidBodyRotation) {
  // Williamson 2 about a tilted axis: all integrands depend on mu alone.
  const AnalyticCase c = williamson2(0.7);
  constexpr double a = kEarthRadius, g = kGravity, turn = kEarthRotation;
  const double speed = 2 * std::numbers::pi * a / (12 * 86400.0);
  const auto h = [&](double mu) { return (2.94e4 - (a * turn * speed + 0.5 * speed * speed) * mu * mu) / g; };
  const double mass = a * a * zonal_integral(h);
  const double energy = a * a * zonal_integral([&](double mu) {
                          return 0.5 * h(mu) * speed * speed * (1 - mu * mu) + 0.5 * g * h(mu) * h(mu);
                        });
  const double enstrophy =
      a * a * zonal_integral([&](double mu) { return std::pow(2 * (speed / a + turn) * mu, 2) / (2 * h(mu)); });
  const double momentum =
      a * a * zonal_integral([&](double mu) { return h(mu) * a * (speed + turn * a) * (1 - mu * mu); });
  double before[3] = {};
  for (int n : {12, 24, 48}) {
    Flow s(n, c);
    const Budgets b = budgets(*s.solver, s.state);
    EXPECT_NEAR(b.mass / mass, 1.0, error_bound(1e-12, 1));  // means by quadrature of degree nine
    const double error[3] = {std::abs(b.energy / energy - 1), std::abs(b.potential_enstrophy / enstrophy - 1),
                             std::abs(b.angular_momentum / momentum - 1)};
    std::printf("    C%-3d energy %.1e enstrophy %.1e angular momentum %.1e\n", n, error[0], error[1], error[2]);
    for (int k = 0; k < 3 && n > 12; ++k)
      EXPECT_GE(order_of(before[k], error[k], 2.0, 2), 3.7);  // formal order four, 0.3 off
    for (int k = 0; k < 3; ++k) before[k] = error[k];
  }
}

TEST(Budgets, MassDriftsByLessThanRoundOffIn1000Steps) {
  Flow s(16, rossby_haurwitz(0.5));
  SspRk3 integrator(*s.solver);
  const double before = budgets(*s.solver, s.state).mass, dt = 0.8 / s.solver->largest_rate(s.state);
  for (int k = 0; k < 1000; ++k) integrator.step(*s.solver, s.state, dt);
  const double drift = budgets(*s.solver, s.state).mass / before - 1;
  std::printf("    relative mass drift of 1000 steps: %.1e\n", drift);
  EXPECT_LE(std::abs(drift), round_off(1e-14));  // what the project promises
}

TEST(Budgets, DriftsFallWithResolution) {
  for (const bool wave : {false, true}) {
    const AnalyticCase c = wave ? rossby_haurwitz(0.5) : williamson2(kQuarterPi);
    Budgets before;
    int coarse = 0;
    std::printf("    %s, one day\n", wave ? "Rossby-Haurwitz wave" : "Williamson 2, 45 degrees");
    for (int n : {16, 24, 32}) {
      Flow s(n, c);
      SspRk3 integrator(*s.solver);
      const Budgets start = budgets(*s.solver, s.state);
      const double seconds = 86400;
      const int steps = static_cast<int>(std::ceil(seconds * s.solver->largest_rate(s.state) / 0.8));
      for (int k = 0; k < steps; ++k) integrator.step(*s.solver, s.state, seconds / steps);
      const Budgets end = budgets(*s.solver, s.state);
      const Budgets drift{end.mass / start.mass - 1, end.energy / start.energy - 1,
                          end.potential_enstrophy / start.potential_enstrophy - 1,
                          end.angular_momentum / start.angular_momentum - 1};
      std::printf("    C%-3d mass %9.1e energy %10.3e enstrophy %10.3e angular momentum %10.3e\n", n, drift.mass,
                  drift.energy, drift.potential_enstrophy, drift.angular_momentum);
      if (coarse > 0) {
        // The scheme's formal order is four, 0.3 off; fifth-order upwinding dominates here and gives five.
        const double refinement = std::log2(static_cast<double>(n) / coarse);
        EXPECT_GE(std::log2(before.energy / drift.energy) / refinement, 3.7);
        EXPECT_GE(std::log2(before.potential_enstrophy / drift.potential_enstrophy) / refinement, 3.7);
        EXPECT_GE(std::log2(before.angular_momentum / drift.angular_momentum) / refinement, 3.7);
      }
      before = drift;
      coarse = n;
    }
  }
}

TEST(SelfConvergence, ComparesNestedGridsExactly) {
  // The same analytic state on both grids: its means nest to round-off, its vorticity to the diagnostic's fourth order.
  const AnalyticCase c = rossby_haurwitz(0.5);
  Flow c12(12, c), c24(24, c), c48(48, c);
  const NestedDifference coarse = compare_nested(*c24.solver, c24.state, *c12.solver, c12.state),
                         fine = compare_nested(*c48.solver, c48.state, *c24.solver, c24.state);
  // The five-point rule that makes the means is of order ten: what it leaves at C12 falls by 2^10.
  EXPECT_LT(coarse.depth.linf, error_bound(1e-7, 2));
  EXPECT_LT(fine.depth.linf, error_bound(1e-10, 2));
  EXPECT_GE(std::log2(coarse.vorticity.l2 / fine.vorticity.l2), 3.7);
  EXPECT_GT(fine.vorticity.l2, 0.0);
  EXPECT_THROW(compare_nested(*c24.solver, c24.state, *c48.solver, c48.state), InputError);
}

TEST(SelfConvergence, ViscousFlowConvergesAtTheSchemesOrder) {
  // Six hours of the wave under a viscosity that takes its part: successive differences of nested runs.
  const AnalyticCase c = rossby_haurwitz(0.5);
  std::vector<std::unique_ptr<Flow>> flows;
  for (int n : {12, 24, 48}) {
    flows.push_back(std::make_unique<Flow>(n, c, 1e6));
    Flow& s = *flows.back();
    SspRk3 integrator(*s.solver);
    const int steps = static_cast<int>(std::ceil(21600 * s.solver->largest_rate(s.state) / 0.8));
    for (int k = 0; k < steps; ++k) integrator.step(*s.solver, s.state, 21600.0 / steps);
  }
  std::vector<NestedDifference> d;
  for (int k = 0; k < 2; ++k)
    d.push_back(compare_nested(*flows[k + 1]->solver, flows[k + 1]->state, *flows[k]->solver, flows[k]->state));
  for (const NestedDifference& x : d)
    std::printf("    l2 of h %.2e, speed %.2e, vorticity %.2e; linf of vorticity %.2e\n", x.depth.l2, x.speed.l2,
                x.vorticity.l2, x.vorticity.linf);
  // Formal order four, 0.3 off.
  EXPECT_GE(std::log2(d[0].depth.l2 / d[1].depth.l2), 3.7);
  EXPECT_GE(std::log2(d[0].speed.l2 / d[1].speed.l2), 3.7);
  EXPECT_GE(std::log2(d[0].vorticity.l2 / d[1].vorticity.l2), 3.7);
}

}  // namespace
}  // namespace tramontane
