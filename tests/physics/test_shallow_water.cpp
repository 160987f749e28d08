#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "physics/cases/rest.hpp"
#include "physics/cases/williamson1.hpp"
#include "physics/cases/williamson2.hpp"
#include "physics/coarse_grain.hpp"
#include "physics/diagnostics.hpp"
#include "physics/integrator.hpp"
#include "physics/tracer_state.hpp"
#include "tests/precision.hpp"

namespace tramontane {
namespace {

using testing::error_bound;
using testing::round_off;

/// A solver for a case on this communicator.
struct Flow {
  std::shared_ptr<Grid> grid;
  std::unique_ptr<ShallowWater> solver;
  State state;

  Flow(int n, int tiles, const AnalyticCase& c, MPI_Comm comm, int order = 5) {
    int rank = 0, ranks = 1;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    grid = std::make_shared<Grid>(Tiling(n, tiles, ranks), rank, kEarthRadius, order);
    ShallowWaterOptions options;
    options.reference = kGravity * c.reference_height;
    options.rotation = c.rotation;
    options.deadline_seconds = 60;
    solver = std::make_unique<ShallowWater>(grid, comm, cell_means(*grid, c.orography), options);
    state = solver->make_state("state");
    set_state(*solver, c, state);
  }
};

/// A smooth flow over a smooth hill that touches all panels.
AnalyticCase lively() {
  AnalyticCase c = williamson2(0.6);
  c.orography = [](Vector3 r) {
    return 400.0 * std::exp(-8.0 * dot(r - Vector3{0.6, 0.6, 0.5}, r - Vector3{0.6, 0.6, 0.5}));
  };
  const auto flow = c.state;
  const auto hill = c.orography;
  c.state = [flow, hill](Vector3 r, double time) {
    PointState s = flow(r, time);
    s.depth -= hill(r);
    return s;
  };
  return c;
}

std::vector<double> global_state(const Flow& s, MPI_Comm comm) {
  const Tiling& tiling = s.grid->tiling();
  const CellFields f = cell_fields(*s.solver, s.state);
  std::vector<double> all;
  for (const std::vector<double>* field : {&f.depth, &f.velocity[0], &f.velocity[1], &f.velocity[2]}) {
    std::vector<int> counts, offsets;
    for (int rank = 0; rank < tiling.ranks; ++rank) {
      counts.push_back(tiling.owned_count(rank) * tiling.cells_per_tile());
      offsets.push_back(tiling.first_tile(rank) * tiling.cells_per_tile());
    }
    std::vector<double> tiles(tiling.cell_count()), global;
    MPI_Allgatherv(field->data(), static_cast<int>(field->size()), MPI_DOUBLE, tiles.data(), counts.data(),
                   offsets.data(), MPI_DOUBLE, comm);
    tiles_to_global(tiling, tiles.data(), 0, tiling.tile_count(), global);
    all.insert(all.end(), global.begin(), global.end());
  }
  return all;
}

TEST(GhostCells, AreFourthOrderBeyondEdgesAndCorners) {
  // The scalar sqrt_g * f and a smooth tangent field, as cell means; ghosts against their own exact means.
  auto f = [](Vector3 r) { return 2.0 + r.x * r.y + 0.5 * r.z * r.z * r.x; };
  auto v = [](Vector3 r) { return cross(Vector3{0.3, -0.5, 0.8}, r) + r.z * cross(Vector3{0.1, 0.7, 0.2}, r); };
  auto largest_error = [&](int n) {
    auto grid = std::make_shared<Grid>(Tiling(n, 1, 1), 0);
    GhostCells ghosts(grid, MPI_COMM_SELF, 1);
    const int extent = n + 2 * kHalo;
    State q("q", kPanels, 1, 3, extent, extent);
    auto exact = [&](int panel, int j, int i, int variable) {
      constexpr int points = 3;
      const double node[points] = {-0.38729833462074170, 0.0, 0.38729833462074170};
      const double weight[points] = {5.0 / 18, 8.0 / 18, 5.0 / 18};
      double sum = 0;
      for (int b = 0; b < points; ++b)
        for (int a = 0; a < points; ++a) {
          const PanelPoint p{panel, grid->angle(i, node[a]), grid->angle(j, node[b])};
          const Vector3 r = to_cartesian(p);
          const double g = metric_at(std::tan(p.alpha), std::tan(p.beta)).sqrt_g * weight[a] * weight[b];
          const Contravariant u = to_contravariant(v(r), p);
          sum += g * (variable == 0 ? f(r) : variable == 1 ? u.alpha : u.beta);
        }
      return sum;
    };
    for (int t = 0; t < kPanels; ++t)
      for (int variable = 0; variable < 3; ++variable)
        for (int j = 0; j < n; ++j)
          for (int i = 0; i < n; ++i) q(t, 0, variable, j + kHalo, i + kHalo) = exact(t, j, i, variable);
    ghosts.start(q);
    ghosts.finish(q);
    double error = 0;
    for (int t = 0; t < kPanels; ++t)
      for (int variable = 0; variable < 3; ++variable)
        for (int j = -ghosts.width(); j < n + ghosts.width(); ++j)
          for (int i = -ghosts.width(); i < n + ghosts.width(); ++i)
            error = std::max(error, std::abs(q(t, 0, variable, j + kHalo, i + kHalo) - exact(t, j, i, variable)));
    return error;
  };
  const double coarse = largest_error(16), fine = largest_error(32);
  EXPECT_GT(std::log2(coarse / fine), 4.0) << coarse << " " << fine;  // quartic interpolation: formally five
}

TEST(ShallowWater, MassIsConservedToRoundOff) {
  Flow s(16, 1, lively(), MPI_COMM_SELF);
  SspRk3 integrator(*s.solver);
  const double before = budgets(*s.solver, s.state).mass;
  for (int k = 0; k < 200; ++k) integrator.step(*s.solver, s.state, 400.0);
  // 600 stages of 1e-16 each, randomly signed over 1536 cells.
  EXPECT_LT(std::abs(budgets(*s.solver, s.state).mass / before - 1), round_off(1e-14));
}

/// Orders of the reconstruction.
class ShallowWaterOrders : public ::testing::TestWithParam<int> {};
class SameBits : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Of, ShallowWaterOrders, ::testing::Values(3, 5, 7));
INSTANTIATE_TEST_SUITE_P(Parallel, SameBits, ::testing::Values(3, 5, 7));

TEST_P(ShallowWaterOrders, RestOverRoughOrographyStaysAtRest) {
  // Random heights in every cell, across all panel edges and corners; the surface lies off the reference, so that
  // nothing vanishes by choice of origin. With viscosity too, on a quarter of the time.
  for (const double viscosity : {0.0, 1e6}) {
    auto grid = std::make_shared<Grid>(Tiling(16, 1, 1), 0, kEarthRadius, GetParam());
    std::mt19937_64 random(7);
    std::uniform_real_distribution<double> height(0.0, 3000.0);
    std::vector<double> orography(grid->tiling().cell_count());
    for (double& h : orography) h = height(random);
    ShallowWaterOptions options;
    options.reference = kGravity * 5200.0;
    options.viscosity = viscosity;
    ShallowWater solver(grid, MPI_COMM_SELF, orography, options);
    CellFields fields;
    for (auto& component : fields.velocity) component.assign(orography.size(), 0.0);
    for (double h : orography) fields.depth.push_back(6000.0 - h);
    State state = solver.make_state("state");
    set_state(solver, fields, state);
    SspRk3 integrator(solver);
    const double dt = 0.8 / solver.largest_rate(state), end = viscosity > 0 ? 21600 : 86400;
    for (int k = 0; k * dt < end; ++k) integrator.step(solver, state, dt);
    const CellFields after = cell_fields(solver, state);
    double fastest = 0;
    for (std::size_t k = 0; k < after.depth.size(); ++k)
      for (const auto& component : after.velocity)
        if (!(std::abs(component[k]) <= fastest)) fastest = std::abs(component[k]);  // NaN counts as fast
    EXPECT_LT(fastest, round_off(1e-11)) << viscosity;  // m/s: round-off of the pressure force alone
  }
}

TEST_P(ShallowWaterOrders, ConvergeOnWilliamson2) {
  // A day at 45 degrees, with the jet over edges and corners; steady, so that the steps leave no error of their own.
  const auto error = [&](int n) {
    const AnalyticCase c = williamson2(kQuarterPi);
    Flow s(n, 1, c, MPI_COMM_SELF, GetParam());
    SspRk3 integrator(*s.solver);
    const int steps = static_cast<int>(std::ceil(86400 * s.solver->largest_rate(s.state) / 0.8));
    for (int k = 0; k < steps; ++k) integrator.step(*s.solver, s.state, 86400.0 / steps);
    return error_norms(*s.grid, MPI_COMM_SELF, cell_fields(*s.solver, s.state).depth,
                       exact_fields(*s.solver, c, 0.0).depth)
        .l2;
  };
  const double coarse = error(12), fine = error(24), slope = std::log2(coarse / fine);
  std::printf("order %d: l2 %.2e at C12, %.2e at C24, slope %.2f\n", GetParam(), coarse, fine, slope);
  // The order less 0.3; two Gauss points a face set the formal order of seventh-order reconstruction to four.
  const double least = GetParam() == 3 ? 2.7 : GetParam() == 5 ? 4.7 : 4.0;
  EXPECT_GT(slope, least);
}

TEST(ShallowWater, LargestRateIsInfiniteForNan) {
  Flow s(16, 1, lively(), MPI_COMM_SELF);
  EXPECT_LT(s.solver->largest_rate(s.state), 1.0);
  s.state(3, 0, 1, 8, 8) = std::nan("");
  EXPECT_TRUE(std::isinf(s.solver->largest_rate(s.state)));
}

TEST(ShallowWater, ABlowUpLeavesNothingBehind) {
  Flow used(16, 1, lively(), MPI_COMM_SELF), fresh(16, 1, lively(), MPI_COMM_SELF);
  const State start = used.solver->make_state("start");
  Kokkos::deep_copy(start, used.state);
  SspRk3 first(*used.solver), second(*fresh.solver);
  Kokkos::deep_copy(used.state, std::nan(""));
  first.step(*used.solver, used.state, 500.0);
  Kokkos::deep_copy(used.state, start);
  for (int k = 0; k < 3; ++k) {
    first.step(*used.solver, used.state, 500.0);
    second.step(*fresh.solver, fresh.state, 500.0);
  }
  const auto a = global_state(used, MPI_COMM_SELF), b = global_state(fresh, MPI_COMM_SELF);
  EXPECT_EQ(0, std::memcmp(a.data(), b.data(), a.size() * sizeof(double)));
}

TEST(CoarseGrain, KeepsMassAndRefusesGridsThatDoNotNest) {
  Flow fine(32, 1, lively(), MPI_COMM_SELF), coarse(16, 1, lively(), MPI_COMM_SELF);
  const auto orography = coarse_grain_orography(*fine.grid, *coarse.grid, fine.solver->orography());
  ShallowWaterOptions options;
  options.reference = fine.solver->reference();
  ShallowWater solver(coarse.grid, MPI_COMM_SELF, orography, options);
  coarse_grain_state(*fine.solver, fine.state, solver, coarse.state);
  EXPECT_NEAR(budgets(solver, coarse.state).mass / budgets(*fine.solver, fine.state).mass, 1.0, round_off(1e-14));
  EXPECT_THROW(nesting_ratio(48, 36), InputError);
}

TEST(CoarseGrain, CarriesTracersConservatively) {
  const AnalyticCase c = williamson1(0.6);
  const auto make = [&](int n) {
    ShallowWaterOptions options;
    options.reference = kGravity * c.reference_height;
    options.tracers = {{"constant"}, {"bell"}};
    const auto grid = std::make_shared<Grid>(Tiling(n, 1, 1), 0);
    return std::make_unique<ShallowWater>(grid, MPI_COMM_SELF, cell_means(*grid, c.orography), options);
  };
  const auto fine = make(32), coarse = make(16);
  const State from = fine->make_state("fine"), to = coarse->make_state("coarse");
  set_state(*fine, c, from);
  const auto depth = [](Vector3) { return 1.0; };
  set_tracer(
      *fine, 0, [](Vector3) { return 0.25; }, depth, from);
  set_tracer(*fine, 1, c, from);
  coarse_grain_state(*fine, from, *coarse, to);
  for (int tracer : {0, 1})  // sums of 6144 and 1536 cells
    EXPECT_NEAR(tracer_content(*coarse, to, tracer) / tracer_content(*fine, from, tracer), 1.0, round_off(1e-14));
  for (double q : tracer_means(*coarse, to, 0)) EXPECT_NEAR(q, 0.25, round_off(1e-14));  // some tens of roundings
  const ShallowWater without(coarse->shared_grid(), MPI_COMM_SELF, coarse->orography(), {});
  EXPECT_THROW(coarse_grain_state(*fine, from, without, without.make_state("no tracers")), std::logic_error);
}

TEST(CoarseGrain, CorrectionForcingDoesWhatItSays) {
  // A held correction must change depth and velocity by tendency * time, less the mean depth change, where the flow is
  // otherwise steady: state at rest with small forcing, compared before waves have travelled.
  Flow s(16, 1, resting(5000.0, [](Vector3) { return 0.0; }), MPI_COMM_SELF);
  CellFields tendency = cell_fields(*s.solver, s.state);
  for (std::size_t k = 0; k < tendency.depth.size(); ++k) {
    tendency.depth[k] = 1e-3;  // uniform: must be removed entirely
    const Vector3 v =
        1e-6 *
        cross(Vector3{0, 0, 1}, to_cartesian(s.grid->centre({static_cast<int>(k / 256), static_cast<int>(k / 16 % 16),
                                                             static_cast<int>(k % 16)})));
    tendency.velocity[0][k] = v.x;
    tendency.velocity[1][k] = v.y;
    tendency.velocity[2][k] = v.z;
  }
  s.solver->set_forcing(correction_forcing(*s.solver, s.state, tendency));
  SspRk3 integrator(*s.solver);
  integrator.step(*s.solver, s.state, 10.0);
  const CellFields after = cell_fields(*s.solver, s.state);
  for (std::size_t k = 0; k < after.depth.size(); ++k) {
    EXPECT_NEAR(after.depth[k], 5000.0, error_bound(1e-6, 5000));
    // Coriolis turns the new velocity by f dt = 1.5e-3 at most.
    EXPECT_NEAR(after.velocity[0][k], 10.0 * tendency.velocity[0][k], 3e-8);
    EXPECT_NEAR(after.velocity[1][k], 10.0 * tendency.velocity[1][k], 3e-8);
  }
}

TEST_P(SameBits, AsOnOneRank) {
  Flow one(16, 1, lively(), MPI_COMM_SELF, GetParam()), many(16, 1, lively(), MPI_COMM_WORLD, GetParam());
  SspRk3 first(*one.solver), second(*many.solver);
  for (int k = 0; k < 10; ++k) {
    first.step(*one.solver, one.state, 500.0);
    second.step(*many.solver, many.state, 500.0);
  }
  const auto a = global_state(one, MPI_COMM_SELF), b = global_state(many, MPI_COMM_WORLD);
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(0, std::memcmp(a.data(), b.data(), a.size() * sizeof(double)));
  const Budgets x = budgets(*one.solver, one.state), y = budgets(*many.solver, many.state);
  EXPECT_EQ(x.mass, y.mass);
  EXPECT_EQ(x.energy, y.energy);
  EXPECT_EQ(x.potential_enstrophy, y.potential_enstrophy);
  EXPECT_EQ(x.angular_momentum, y.angular_momentum);
}

TEST_P(SameBits, WhereHalosOverlapWithWork) {
  // Tiles of 32 cells have an interior that is worked on while halos travel.
  Flow one(32, 1, lively(), MPI_COMM_SELF, GetParam()), many(32, 1, lively(), MPI_COMM_WORLD, GetParam());
  SspRk3 first(*one.solver), second(*many.solver);
  for (int k = 0; k < 4; ++k) {
    first.step(*one.solver, one.state, 250.0);
    second.step(*many.solver, many.state, 250.0);
  }
  const auto a = global_state(one, MPI_COMM_SELF), b = global_state(many, MPI_COMM_WORLD);
  EXPECT_EQ(0, std::memcmp(a.data(), b.data(), a.size() * sizeof(double)));
}

TEST_P(SameBits, ForAnyTiling) {
  // The second grid is the smallest that a deck may ask for: tiles as wide as seventh order has ghost cells.
  for (const int n : {16, 8}) {
    Flow one(n, 1, lively(), MPI_COMM_SELF, GetParam()), many(n, 2, lively(), MPI_COMM_WORLD, GetParam());
    SspRk3 first(*one.solver), second(*many.solver);
    for (int k = 0; k < 10; ++k) {
      first.step(*one.solver, one.state, 500.0);
      second.step(*many.solver, many.state, 500.0);
    }
    const auto a = global_state(one, MPI_COMM_SELF), b = global_state(many, MPI_COMM_WORLD);
    EXPECT_EQ(0, std::memcmp(a.data(), b.data(), a.size() * sizeof(double))) << n;
    const Budgets x = budgets(*one.solver, one.state), y = budgets(*many.solver, many.state);
    EXPECT_NEAR(x.energy / y.energy, 1.0, 1e-13) << n;  // sums are per tile: only their order differs
  }
}

}  // namespace
}  // namespace tramontane
