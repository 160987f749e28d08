#include <gtest/gtest.h>

#include <cstring>

#include "physics/diagnostics.hpp"
#include "physics/integrator.hpp"
#include "physics/viscosity.hpp"

namespace tramontane {
namespace {

/// A solver for a case on this communicator.
struct Flow {
  std::shared_ptr<Grid> grid;
  std::unique_ptr<ShallowWater> solver;
  State state;

  Flow(int n, int tiles, const AnalyticCase& c, MPI_Comm comm, double viscosity) {
    int rank = 0, ranks = 1;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    grid = std::make_shared<Grid>(Tiling(n, tiles, ranks), rank);
    ShallowWaterOptions options;
    options.reference = kGravity * c.reference_height;
    options.rotation = c.rotation;
    options.deadline_seconds = 60;
    options.viscosity = viscosity;
    solver = std::make_unique<ShallowWater>(grid, comm, cell_means(*grid, c.orography), options);
    state = solver->make_state("state");
    set_state(*solver, c, state);
  }
};

/// A solid harmonic of a degree: a harmonic polynomial, on the unit sphere an eigenfunction of the Laplacian with
/// eigenvalue -l (l + 1); and its gradient in space.
struct Harmonic {
  int degree;
  double (*value)(Vector3);
  Vector3 (*gradient)(Vector3);
};

// In a frame that lines nothing up with the panels, so that every edge and corner sees a field without symmetry.
Vector3 tilted(Vector3 r) {
  const Vector3 a = normalised({0.36, 0.48, -0.8}), b = normalised(cross({0.1, 0.7, 0.3}, a)), c = cross(a, b);
  return {dot(a, r), dot(b, r), dot(c, r)};
}
Vector3 tilted_back(Vector3 g) {
  const Vector3 a = normalised({0.36, 0.48, -0.8}), b = normalised(cross({0.1, 0.7, 0.3}, a)), c = cross(a, b);
  return g.x * a + g.y * b + g.z * c;
}

double degree1(Vector3 r) {
  return tilted(r).z;
}
Vector3 degree1_gradient(Vector3) {
  return tilted_back({0, 0, 1});
}
// Re((x + i y)^2) z
double degree3(Vector3 r) {
  const Vector3 t = tilted(r);
  return (t.x * t.x - t.y * t.y) * t.z;
}
Vector3 degree3_gradient(Vector3 r) {
  const Vector3 t = tilted(r);
  return tilted_back({2 * t.x * t.z, -2 * t.y * t.z, t.x * t.x - t.y * t.y});
}
// Re((x + i y)^4)
double degree4(Vector3 r) {
  const Vector3 t = tilted(r);
  const double x2 = t.x * t.x, y2 = t.y * t.y;
  return x2 * x2 - 6 * x2 * y2 + y2 * y2;
}
Vector3 degree4_gradient(Vector3 r) {
  const Vector3 t = tilted(r);
  return tilted_back({4 * t.x * t.x * t.x - 12 * t.x * t.y * t.y, 4 * t.y * t.y * t.y - 12 * t.x * t.x * t.y, 0.0});
}

constexpr Harmonic kDegree1{1, degree1, degree1_gradient}, kDegree3{3, degree3, degree3_gradient},
    kDegree4{4, degree4, degree4_gradient};

Vector3 tangent_gradient(const Harmonic& y, Vector3 r) {
  const Vector3 g = y.gradient(r);
  return g - dot(g, r) * r;
}

/// Velocity u = k x grad(Y) + grad(Y') in m/s with speeds of order `speed`, depth 1000 m + 100 m Y''. Then
/// nu L u = -nu (l (l + 1) k x grad(Y) + l' (l' + 1) grad(Y')) / a^2, and so for the depth.
struct Fields {
  Harmonic rotational, divergent, depth;

  Vector3 velocity(Vector3 r) const {
    return 20.0 * cross(r, tangent_gradient(rotational, r)) + 8.0 * tangent_gradient(divergent, r);
  }
  double height(Vector3 r) const { return 1000.0 + 100.0 * depth.value(r); }
  Vector3 velocity_tendency(Vector3 r, double nu) const {
    const double scale = -nu / (kEarthRadius * kEarthRadius);
    return scale * ((20.0 * rotational.degree * (rotational.degree + 1)) * cross(r, tangent_gradient(rotational, r)) +
                    (8.0 * divergent.degree * (divergent.degree + 1)) * tangent_gradient(divergent, r));
  }
  double height_tendency(Vector3 r, double nu) const {
    return -nu / (kEarthRadius * kEarthRadius) * depth.degree * (depth.degree + 1) * 100.0 * depth.value(r);
  }
  AnalyticCase as_case() const {
    AnalyticCase c;
    c.orography = [](Vector3) { return 0.0; };
    c.state = [f = *this](Vector3 r) { return PointState{f.height(r), f.velocity(r)}; };
    c.reference_height = 1000.0;
    return c;
  }
};

struct Errors {
  double l2, linf;
};

/// Error of the viscous tendency of the state against the exact cell means, for the height and for the momentum,
/// normalised by the exact tendency.
std::array<Errors, 2> tendency_error(int n, const Fields& f) {
  constexpr double nu = 1e5;
  Flow s(n, 1, f.as_case(), MPI_COMM_SELF, 0.0);
  Viscosity viscosity(s.grid, MPI_COMM_SELF, 1, nu, s.solver->ghosted_bottom(), 60.0);
  s.solver->fill_ghosts(s.state);
  viscosity.compute(s.state, {});
  // The exact tendency of (E, M) as cell means, written through set_state's quadrature: E' = g h', M' = g (h u)'.
  AnalyticCase c = f.as_case();
  constexpr double eps = 1.0;
  State exact = s.solver->make_state("exact"), base = s.solver->make_state("base");
  // d(h u) = h du + u dh is bilinear: take it as a centred difference, exact for a quadratic.
  c.state = [&](Vector3 r) {
    return PointState{f.height(r) + eps * f.height_tendency(r, nu), f.velocity(r) + eps * f.velocity_tendency(r, nu)};
  };
  set_state(*s.solver, c, exact);
  c.state = [&](Vector3 r) {
    return PointState{f.height(r) - eps * f.height_tendency(r, nu),
                      f.velocity(r) + (-eps) * f.velocity_tendency(r, nu)};
  };
  set_state(*s.solver, c, base);
  const auto t = viscosity.tendency();
  std::array<Errors, 2> out{};
  double sums[2] = {}, sizes[2] = {}, largest[2] = {};
  for (int tile = 0; tile < kPanels; ++tile)
    for (int j = 0; j < n; ++j)
      for (int i = 0; i < n; ++i) {
        double e[3], x[3];
        for (int v = 0; v < 3; ++v) {
          x[v] = (exact(tile, 0, v, j + kHalo, i + kHalo) - base(tile, 0, v, j + kHalo, i + kHalo)) / (2 * eps);
          e[v] = t(tile, 0, v, j, i) - x[v];
        }
        const Metric m = metric_at(std::tan(s.grid->angle(i)), std::tan(s.grid->angle(j)));
        const auto square = [&](const double* q) {
          return m.g_aa * q[1] * q[1] + 2 * m.g_ab * q[1] * q[2] + m.g_bb * q[2] * q[2];
        };
        const double errors[2] = {e[0] * e[0], square(e)}, values[2] = {x[0] * x[0], square(x)};
        for (int k = 0; k < 2; ++k) {
          sums[k] += errors[k] / m.sqrt_g;
          sizes[k] += values[k] / m.sqrt_g;
          out[k].linf = std::max(out[k].linf, std::sqrt(errors[k]) / m.sqrt_g);
          largest[k] = std::max(largest[k], std::sqrt(values[k]) / m.sqrt_g);
        }
      }
  for (int k = 0; k < 2; ++k) {
    out[k].l2 = std::sqrt(sums[k] / sizes[k]);
    out[k].linf /= largest[k];
  }
  return out;
}

TEST(Viscosity, IsOfHighOrderOnTheWholeSphere) {
  for (const Fields& f : {Fields{kDegree1, kDegree3, kDegree3}, Fields{kDegree4, kDegree3, kDegree4}}) {
    std::array<Errors, 2> before{};
    for (int n : {12, 24, 48, 96}) {
      const auto now = tendency_error(n, f);
      std::printf("    C%-3d", n);
      for (int k = 0; k < 2; ++k)
        std::printf("  %s l2 %.2e (%.2f) linf %.2e (%.2f)", k == 0 ? "height" : "momentum", now[k].l2,
                    std::log2(before[k].l2 / now[k].l2), now[k].linf, std::log2(before[k].linf / now[k].linf));
      std::printf("\n");
      before = now;
    }
  }
}

}  // namespace
}  // namespace tramontane
