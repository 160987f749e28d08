#include <gtest/gtest.h>

#include <cstring>

#include "physics/cases/rest.hpp"
#include "physics/cases/williamson2.hpp"
#include "physics/diagnostics.hpp"
#include "physics/integrator.hpp"
#include "physics/viscosity.hpp"
#include "tests/precision.hpp"

namespace tramontane {
namespace {

using testing::error_bound;
using testing::order_of;
using testing::round_off;

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
    c.state = [f = *this](Vector3 r, double) { return PointState{f.height(r), f.velocity(r)}; };
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
  Flow s(n, 1, f.as_case(), MPI_COMM_SELF, nu);
  Viscosity viscosity(s.grid, MPI_COMM_SELF, 1, nu, s.solver->ghosted_bottom(), 60.0);
  s.solver->fill_ghosts(s.state);
  viscosity.compute(s.state, {});
  // The exact tendency of (E, M) as cell means, written through set_state's quadrature: E' = g h', M' = g (h u)'.
  AnalyticCase c = f.as_case();
  constexpr double eps = 1e6;  // s: changes of some percent, so that the difference keeps its digits
  State exact = s.solver->make_state("exact"), base = s.solver->make_state("base");
  // d(h u) = h du + u dh is bilinear: take it as a centred difference, exact for a quadratic.
  c.state = [&](Vector3 r, double) {
    return PointState{f.height(r) + eps * f.height_tendency(r, nu), f.velocity(r) + eps * f.velocity_tendency(r, nu)};
  };
  set_state(*s.solver, c, exact);
  c.state = [&](Vector3 r, double) {
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
        std::printf("  %s l2 %.2e linf %.2e", k == 0 ? "height" : "momentum", now[k].l2, now[k].linf);
      std::printf("\n");
      const double rounding = 0.5 * n * n;  // in distances between numbers: second differences of the state
      if (n > 12) {
        // Momentum: formal order four, 0.3 off. Height: second differences of fifth-order ghost values leave third
        // order in three rows along each panel edge, hence 3.5 in the mean square until those rows no longer count.
        EXPECT_GE(order_of(before[1].l2, now[1].l2, 2.0, rounding), 3.7);
        EXPECT_GE(order_of(before[0].l2, now[0].l2, 2.0, rounding), 3.3);
      }
      // Third order at panel edges; on the coarsest pair the stencil is an eighth of the sphere.
      if (n > 24) {
        for (int k = 0; k < 2; ++k) EXPECT_GE(order_of(before[k].linf, now[k].linf, 2.0, 4 * rounding), 2.7);
      }
      before = now;
    }
  }
}

TEST(Viscosity, SmallFlowDecaysAtTheAnalyticRate) {
  // A flow of 1 mm/s on a sphere that does not rotate: advection changes it by u t / a = 1e-5 of itself.
  constexpr double nu = 4e6;
  const double per_second = nu * 12 / (kEarthRadius * kEarthRadius);  // degree 3
  AnalyticCase c;
  c.orography = [](Vector3) { return 0.0; };
  c.state = [](Vector3 r, double) { return PointState{1000.0, 1e-3 * cross(r, tangent_gradient(kDegree3, r))}; };
  c.rotation = {0, 0, 0};
  c.reference_height = 1000.0;
  Flow s(24, 1, c, MPI_COMM_SELF, nu);
  const auto kinetic = [&] {
    const CellFields f = cell_fields(*s.solver, s.state);
    double sum = 0;
    for (std::size_t k = 0; k < f.depth.size(); ++k)
      for (int m = 0; m < 3; ++m) sum += s.grid->mean_sqrt_g(k / 24 % 24, k % 24) * f.velocity[m][k] * f.velocity[m][k];
    return sum;
  };
  SspRk3 integrator(*s.solver);
  const double before = kinetic(), seconds = 86400;
  const int steps = static_cast<int>(std::ceil(seconds * s.solver->largest_rate(s.state) / 0.8));
  for (int k = 0; k < steps; ++k) integrator.step(*s.solver, s.state, seconds / steps);
  const double rate = -std::log(kinetic() / before) / (2 * seconds);
  std::printf("    decay rate over the exact one, minus one: %.2e\n", rate / per_second - 1);
  // Fourth order: twice the operator's l2 error at C24 (1e-4); the kinetic energy falls by a fifth.
  EXPECT_NEAR(rate / per_second, 1.0, 2e-4);
}

TEST(Viscosity, StepLimitIsTheMeasuredOne) {
  // Noise under a viscosity that outweighs the waves by far: bounded at the limit of the rate, not much beyond it.
  AnalyticCase c = resting(1000.0, [](Vector3) { return 0.0; });
  c.rotation = {0, 0, 0};
  const auto largest_after = [&](double courant) {
    Flow s(12, 1, c, MPI_COMM_SELF, 1e9);
    const double dt = courant / s.solver->largest_rate(s.state);
    std::uint32_t random = 7;
    for (int tile = 0; tile < kPanels; ++tile)
      for (int v = 0; v < 3; ++v)
        for (int j = 0; j < 12; ++j)
          for (int i = 0; i < 12; ++i) {
            random = random * 1664525u + 1013904223u;
            const double noise = random / 4294967296.0 - 0.5;
            s.state(tile, 0, v, j + kHalo, i + kHalo) += v == 0 ? noise : 10 * noise;
          }
    SspRk3 integrator(*s.solver);
    for (int k = 0; k < 300; ++k) integrator.step(*s.solver, s.state, dt);
    double largest = 0;
    for (double h : cell_fields(*s.solver, s.state).depth) {
      if (!(std::abs(h - 1000) <= largest)) largest = std::abs(h - 1000);
    }
    return largest;
  };
  EXPECT_LT(largest_after(1.6), 0.05);        // noise of 0.05 m in height: it must have shrunk
  EXPECT_FALSE(largest_after(2.0) < 1000.0);  // 25 % further: two-cell waves grow by 1.6 a step or end in NaN
}

TEST(Viscosity, ConservesMassAndKeepsRest) {
  // A flow over a hill; 600 stages of 1e-16 each, randomly signed.
  AnalyticCase c = williamson2(0.6);
  c.orography = [](Vector3 r) {
    return 400.0 * std::exp(-8.0 * dot(r - Vector3{0.6, 0.6, 0.5}, r - Vector3{0.6, 0.6, 0.5}));
  };
  Flow s(16, 1, c, MPI_COMM_SELF, 1e6);
  const double before = budgets(*s.solver, s.state).mass;
  SspRk3 integrator(*s.solver);
  for (int k = 0; k < 200; ++k) integrator.step(*s.solver, s.state, 400.0);
  EXPECT_LT(std::abs(budgets(*s.solver, s.state).mass / before - 1), round_off(1e-14));

  // Height is diffused along the surface, so rest over the hill, off the reference, stays.
  AnalyticCase still = resting(3000.0, c.orography);
  still.reference_height = 2500.0;
  Flow r(16, 1, still, MPI_COMM_SELF, 1e6);
  SspRk3 of_rest(*r.solver);
  for (int k = 0; k < 100; ++k) of_rest.step(*r.solver, r.state, 400.0);
  const CellFields f = cell_fields(*r.solver, r.state);
  for (const auto& component : f.velocity)
    for (double u : component) ASSERT_LT(std::abs(u), round_off(1e-11));  // the bound of rest without viscosity
}

TEST(Viscosity, ForcingIsAddedToIt) {
  const Fields f{kDegree4, kDegree3, kDegree4};
  Flow s(12, 1, f.as_case(), MPI_COMM_SELF, 0.0);
  Viscosity viscosity(s.grid, MPI_COMM_SELF, 1, 1e5, s.solver->ghosted_bottom(), 60.0);
  s.solver->fill_ghosts(s.state);
  viscosity.compute(s.state, {});
  const auto alone = Kokkos::create_mirror(viscosity.tendency());
  Kokkos::deep_copy(alone, viscosity.tendency());
  View<Real*****> forcing("forcing", kPanels, 1, kPrognostic, 12, 12);
  Kokkos::deep_copy(forcing, 0.25);
  viscosity.compute(s.state, forcing);
  for (std::size_t k = 0; k < forcing.size(); ++k)  // equal, in double precision
    ASSERT_NEAR(viscosity.tendency().data()[k], alone.data()[k] + 0.25, error_bound(0.0, 2));
}

TEST(ParallelViscosity, SameBitsOnAnyRanksAndTiling) {
  const Fields f{kDegree4, kDegree3, kDegree4};
  const auto cells = [&](int tiles, MPI_Comm comm) {
    Flow s(16, tiles, f.as_case(), comm, 1e6);
    View<Real*****> forcing("forcing", s.grid->tile_count(), 1, kPrognostic, 16 / tiles, 16 / tiles);
    Kokkos::deep_copy(forcing, 1e-4);
    s.solver->set_forcing(forcing);
    SspRk3 integrator(*s.solver);
    for (int k = 0; k < 5; ++k) integrator.step(*s.solver, s.state, 400.0);
    const Tiling& tiling = s.grid->tiling();
    const CellFields now = cell_fields(*s.solver, s.state);
    std::vector<double> all;
    for (const std::vector<double>* field : {&now.depth, &now.velocity[0], &now.velocity[1], &now.velocity[2]}) {
      std::vector<int> counts, offsets;
      for (int rank = 0; rank < tiling.ranks; ++rank) {
        counts.push_back(tiling.owned_count(rank) * tiling.cells_per_tile());
        offsets.push_back(tiling.first_tile(rank) * tiling.cells_per_tile());
      }
      std::vector<double> by_tile(tiling.cell_count()), global;
      MPI_Allgatherv(field->data(), static_cast<int>(field->size()), MPI_DOUBLE, by_tile.data(), counts.data(),
                     offsets.data(), MPI_DOUBLE, comm);
      tiles_to_global(tiling, by_tile.data(), 0, tiling.tile_count(), global);
      all.insert(all.end(), global.begin(), global.end());
    }
    return all;
  };
  const auto one = cells(1, MPI_COMM_SELF);
  for (int tiles : {1, 2}) {
    const auto many = cells(tiles, MPI_COMM_WORLD);
    ASSERT_EQ(one.size(), many.size());
    EXPECT_EQ(0, std::memcmp(one.data(), many.data(), one.size() * sizeof(double))) << tiles << " tiles per edge";
  }
}

}  // namespace
}  // namespace tramontane
