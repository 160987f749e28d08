// What holds to round-off: constants, content, the flow itself, and bits over ranks and tiles.
#include <gtest/gtest.h>

#include <cstring>

#include "physics/coarse_grain.hpp"
#include "physics/integrators/make_integrator.hpp"
#include "tests/precision.hpp"
#include "tests/tracer/tracer_fixture.hpp"

namespace tramontane {
namespace {

using namespace testing;

double bell(Vector3 r) {
  const Vector3 d = r - normalised({1.0, 0.8, 0.7});
  return std::exp(-5.0 * dot(d, d));
}

TEST(Tracer, ConstantStaysConstantAndContentIsKept) {
  TracerFlow s(16, 1, jet_over_hill(), {{"constant"}, {"bell"}, {"limited", "1", TracerLimiter::global, 0.0, 1.0}});
  s.set(0, [](Vector3) { return 3.7; });
  s.set(1, bell);
  s.set(2, bell);
  double before[3];
  for (int t = 0; t < 3; ++t) before[t] = tracer_content(*s.solver, s.state, t);
  const int steps = s.run(5 * 86400.0);
  const auto [least, most] = range_of(s.means(0));
  // Each of 1200 stages adds a rounding of at most 1.1e-16 to a cell: 4e-15 as a random walk, 1.3e-13 at worst.
  EXPECT_NEAR(least / 3.7, 1.0, round_off(1e-13));
  EXPECT_NEAR(most / 3.7, 1.0, round_off(1e-13));
  for (int t = 0; t < 3; ++t)
    EXPECT_NEAR(tracer_content(*s.solver, s.state, t) / before[t], 1.0, round_off(1e-14)) << t;
  EXPECT_GT(steps, 300);
}

class TracerIntegrators : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Of, TracerIntegrators, ::testing::ValuesIn(integrator_names()));

TEST_P(TracerIntegrators, KeepConstantsAndContents) {
  TracerFlow s(16, 1, jet_over_hill(), {{"constant"}, {"bell", "1", TracerLimiter::global, 0.0, 1.0}});
  s.set(0, [](Vector3) { return 0.7; });
  s.set(1, bell);
  const double before = tracer_content(*s.solver, s.state, 1);
  const auto integrator = make_integrator(GetParam(), *s.solver);
  const double dt = integrator->traits().default_courant.at(5) / s.solver->largest_rate(s.state);
  const int steps = static_cast<int>(std::ceil(2 * 86400 / dt));
  for (int k = 0; k < steps; ++k) integrator->step(*s.solver, s.state, dt);
  const auto [least, most] = range_of(s.means(0));
  if (integrator->traits().carries_tracers) {
    EXPECT_NEAR(least / 0.7, 1.0, round_off(1e-13));  // a thousand stages at most, a rounding each
    EXPECT_NEAR(most / 0.7, 1.0, round_off(1e-13));
  } else {
    EXPECT_GT(most - least, 1e-6);  // what the trait says: in its stages mass moves implicitly, tracers do not
  }
  EXPECT_NEAR(tracer_content(*s.solver, s.state, 1) / before, 1.0, round_off(1e-14));
}

class TracerOrders : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Of, TracerOrders, ::testing::Values(3, 5, 7));

TEST_P(TracerOrders, ConstantStaysConstantOverRoughOrography) {
  // Random heights in every cell, across all panel edges and corners, and a flow that they throw into waves.
  auto grid = std::make_shared<Grid>(Tiling(16, 1, 1), 0, kEarthRadius, GetParam());
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> height(0.0, 1500.0);
  std::vector<double> orography(grid->tiling().cell_count());
  for (double& h : orography) h = height(random);
  ShallowWaterOptions options;
  options.reference = kGravity * 5200.0;
  options.tracers = {
      {"unlimited"}, {"global", "1", TracerLimiter::global, 0.0, 1.0}, {"local", "1", TracerLimiter::local}};
  ShallowWater solver(grid, MPI_COMM_SELF, orography, options);
  CellFields fields;
  for (int panel = 0; panel < kPanels; ++panel)
    for (int j = 0; j < 16; ++j)
      for (int i = 0; i < 16; ++i) {
        const Vector3 v = 30.0 * cross(flow_axis(kQuarterPi), to_cartesian(grid->centre({panel, j, i})));
        fields.velocity[0].push_back(v.x);
        fields.velocity[1].push_back(v.y);
        fields.velocity[2].push_back(v.z);
        fields.depth.push_back(6000.0 - orography[fields.depth.size()]);
      }
  State state = solver.make_state("state");
  set_state(solver, fields, state);
  for (int t = 0; t < 3; ++t)
    set_tracer(
        solver, t, [](Vector3) { return 0.3; }, [](Vector3) { return 1.0; }, state);
  SspRk3 integrator(solver);
  const double dt = 0.8 / solver.largest_rate(state);
  for (int k = 0; k < 200; ++k) integrator.step(solver, state, dt);
  const CellFields after = cell_fields(solver, state);
  double change = 0;
  for (std::size_t k = 0; k < after.depth.size(); ++k)
    change = std::max(change, std::abs(after.depth[k] / fields.depth[k] - 1));
  EXPECT_GT(change, 0.05);  // the flow was not steady
  for (int t = 0; t < 3; ++t) {
    const auto [least, most] = range_of(tracer_means(solver, state, t));
    EXPECT_NEAR(least / 0.3, 1.0, round_off(1e-13)) << t;  // as above: 600 roundings
    EXPECT_NEAR(most / 0.3, 1.0, round_off(1e-13)) << t;
  }
}

TEST(Tracer, AddedMassCarriesTheCellsMixingRatio) {
  TracerFlow s(16, 1, jet_over_hill(), {{"constant"}});
  s.set(0, [](Vector3) { return 2.0; });
  CellFields tendency = cell_fields(*s.solver, s.state);
  for (auto& component : tendency.velocity) component.assign(tendency.depth.size(), 0.0);
  const auto pattern = cell_means(*s.grid, [](Vector3 r) { return 1e-2 * r.x * r.y; });  // m s-1
  tendency.depth = pattern;
  s.solver->set_forcing(correction_forcing(*s.solver, s.state, tendency));
  s.run(6 * 3600.0);
  const auto [least, most] = range_of(s.means(0));
  EXPECT_NEAR(least, 2.0, round_off(1e-13));
  EXPECT_NEAR(most, 2.0, round_off(1e-13));
}

TEST(Tracer, LeavesTheFlowAlone) {
  TracerFlow with(16, 1, jet_over_hill(), {{"bell", "1", TracerLimiter::local}}), without(16, 1, jet_over_hill(), {});
  with.set(0, bell);
  with.run(43200.0);
  without.run(43200.0);
  const CellFields a = cell_fields(*with.solver, with.state), b = cell_fields(*without.solver, without.state);
  EXPECT_EQ(a.depth, b.depth);
  for (int c = 0; c < 3; ++c) EXPECT_EQ(a.velocity[c], b.velocity[c]);
}

TEST(Tracer, RefusesBoundsOutOfOrder) {
  EXPECT_THROW(TracerFlow(8, 1, jet_over_hill(), {{"q", "1", TracerLimiter::global, 1.0, 0.0}}), InputError);
}

/// All tracers and the depth as one global field each.
std::vector<double> gathered(const TracerFlow& s, MPI_Comm comm) {
  const Tiling& tiling = s.grid->tiling();
  std::vector<std::vector<double>> fields = {cell_fields(*s.solver, s.state).depth};
  for (std::size_t t = 0; t < s.solver->tracers().size(); ++t) fields.push_back(s.means(static_cast<int>(t)));
  std::vector<double> all;
  for (const auto& field : fields) {
    std::vector<int> counts, offsets;
    for (int rank = 0; rank < tiling.ranks; ++rank) {
      counts.push_back(tiling.owned_count(rank) * tiling.cells_per_tile());
      offsets.push_back(tiling.first_tile(rank) * tiling.cells_per_tile());
    }
    std::vector<double> tiles(tiling.cell_count()), global;
    MPI_Allgatherv(field.data(), static_cast<int>(field.size()), MPI_DOUBLE, tiles.data(), counts.data(),
                   offsets.data(), MPI_DOUBLE, comm);
    tiles_to_global(tiling, tiles.data(), 0, tiling.tile_count(), global);
    all.insert(all.end(), global.begin(), global.end());
  }
  return all;
}

void expect_same_bits(int tiles) {
  const std::vector<TracerOptions> tracers = {
      {"unlimited"}, {"global", "1", TracerLimiter::global, 0.0, 1.0}, {"local", "1", TracerLimiter::local}};
  TracerFlow one(16, 1, jet_over_hill(), tracers), many(16, tiles, jet_over_hill(), tracers, MPI_COMM_WORLD);
  for (TracerFlow* s : {&one, &many}) {
    for (int t = 0; t < 3; ++t) s->set(t, [](Vector3 r) { return bell(r) > 0.5 ? 1.0 : 0.0; });  // limiters at work
    s->run(43200.0);
  }
  const auto a = gathered(one, MPI_COMM_SELF), b = gathered(many, MPI_COMM_WORLD);
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(0, std::memcmp(a.data(), b.data(), a.size() * sizeof(double)));
  if (tiles == 1) {  // sums are per tile: with other tiles their order differs
    EXPECT_EQ(tracer_content(*one.solver, one.state, 1), tracer_content(*many.solver, many.state, 1));
  }
}

TEST(ParallelTracer, SameBitsAsOnOneRank) {
  expect_same_bits(1);
}

TEST(ParallelTracer, SameBitsForAnyTiling) {
  expect_same_bits(2);
}

}  // namespace
}  // namespace tramontane
