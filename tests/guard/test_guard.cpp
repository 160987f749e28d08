#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "flow.hpp"
#include "ml/surrogate.hpp"
#include "ml/surrogate_guard.hpp"
#include "physics/diagnostics.hpp"
#include "src/coupled/fallback.hpp"
#include "tests/ml/learner_fixture.hpp"

namespace tramontane {
namespace {

using testing::cells;
using testing::kPanelCells;
using testing::positions;
using testing::smooth_flow;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Judged {
  std::vector<float> weights, outputs;  ///< (6, n, n) and (4, 6, n, n)
  GuardReport report;                   ///< of this rank
};

/// Cuts fields (count, 6, n, n) to a rank's tiles and judges them there; what comes back is gathered again.
class GuardOfSphere {
 public:
  GuardOfSphere(int tiles, MPI_Comm comm, const TrainingDistribution& distribution)
      : comm_(comm), tiling_(kPanelCells, tiles, size()), guard_(tiling_, comm, positions(), {}, Memory::host, 60) {
    guard_.set_model(distribution, testing::bounds_alone());
  }
  Judged judge(const Sample& sample, bool weights_finite = true) {
    const std::size_t owned = static_cast<std::size_t>(tiling_.owned_count(rank())) * tiling_.cells_per_tile();
    std::vector<float> inputs = cut(sample.input), outputs = cut(sample.target);
    Judged result;
    result.report = guard_.judge({inputs.data(), 1, owned}, false, weights_finite, outputs.data(), 1, owned);
    result.weights = gathered(guard_.weights());
    for (int v = 0; v < 4; ++v) {
      const auto begin = outputs.begin() + static_cast<std::ptrdiff_t>(v * owned);
      const std::vector<float> whole = gathered({begin, begin + static_cast<std::ptrdiff_t>(owned)});
      result.outputs.insert(result.outputs.end(), whole.begin(), whole.end());
    }
    return result;
  }

 private:
  int rank() const {
    int rank = 0;
    MPI_Comm_rank(comm_, &rank);
    return rank;
  }
  int size() const {
    int size = 1;
    MPI_Comm_size(comm_, &size);
    return size;
  }
  std::vector<float> cut(std::span<const float> fields) const {
    std::vector<float> out;
    for (std::size_t v = 0; v < fields.size() / cells(); ++v) {
      const auto begin = fields.begin() + static_cast<std::ptrdiff_t>(v * cells());
      const std::vector<float> field(begin, begin + cells());
      const auto part = tiles_from_global(tiling_, field, tiling_.first_tile(rank()), tiling_.owned_count(rank()));
      out.insert(out.end(), part.begin(), part.end());
    }
    return out;
  }
  std::vector<float> gathered(const std::vector<float>& mine) const {
    std::vector<float> whole;
    tiles_to_global(tiling_, mine.data(), tiling_.first_tile(rank()), tiling_.owned_count(rank()), whole);
    // Each cell is one rank's; the others add positive zero, which changes no number.
    MPI_Allreduce(MPI_IN_PLACE, whole.data(), cells(), MPI_FLOAT, MPI_SUM, comm_);
    return whole;
  }

  MPI_Comm comm_;
  Tiling tiling_;
  SurrogateGuard guard_;
};

int place(int panel, int j, int i) {
  return (panel * kPanelCells + j) * kPanelCells + i;
}

/// Adds a whirl to the wind about a cell: half its strength in the cells beside it.
void add_whirl(Sample& sample, int cell, float strength) {
  const GuardGrid grid(positions());
  const auto add = [&](int at, float amount) {
    for (int c = 0; c < 3; ++c)
      sample.input[(1 + c) * cells() + at] += amount * grid.geometry[static_cast<std::size_t>(at) * kGuardGeometry + 12 + c];
  };
  add(cell, strength);
  for (int side = 0; side < 4; ++side) add(grid.neighbour[4 * cell + side], strength / 2);
}

TEST(Guard, LeavesFlowsOfTheTrainingAloneInEveryBit) {
  GuardOfSphere guard(1, MPI_COMM_SELF, testing::distribution());
  for (int number : {3, 100, 101}) {  // of the samples, and others of their kind
    const Sample sample = smooth_flow(number);
    const Judged judged = guard.judge(sample);
    EXPECT_EQ(judged.weights, std::vector<float>(cells(), 1.0f)) << number;
    EXPECT_TRUE(std::ranges::equal(judged.outputs, sample.target)) << number;
    EXPECT_EQ(judged.report.input + judged.report.output, 0);
  }
}

TEST(Guard, TripsOnForeignFlowAndOnForeignOutputs) {
  GuardOfSphere guard(1, MPI_COMM_SELF, testing::distribution());
  Sample jet = smooth_flow(100), loud = jet;
  for (int v = 1; v < 4; ++v)
    for (int cell = 0; cell < cells(); ++cell) jet.input[v * cells() + cell] *= 8;
  const Judged fast = guard.judge(jet);
  EXPECT_GT(std::count(fast.weights.begin(), fast.weights.end(), 0.0f), 0.9 * cells());
  EXPECT_EQ(fast.report.output, 0);
  EXPECT_GT(fast.report.input, 0.9 * cells());
  for (float& value : loud.target) value *= 8;  // still within the bounds
  const Judged shouting = guard.judge(loud);
  EXPECT_GT(std::count(shouting.weights.begin(), shouting.weights.end(), 0.0f), 0.9 * cells());
  EXPECT_EQ(shouting.report.input, 0);
  // Too loud everywhere, though nowhere beyond the threshold of a window: a spoilt network.
  Sample raised = smooth_flow(100);
  const GuardGrid grid(positions());
  for (int cell = 0; cell < cells(); ++cell) {
    const double first = testing::distribution().target_square[cell],
                 vector = testing::distribution().target_square[cells() + cell];
    raised.target[cell] = static_cast<float>(1.75 * std::sqrt(first));
    for (int c = 0; c < 3; ++c)
      raised.target[(1 + c) * cells() + cell] = static_cast<float>(
          1.75 * std::sqrt(vector) * grid.geometry[static_cast<std::size_t>(cell) * kGuardGeometry + 15 + c]);
  }
  const Judged faded = guard.judge(raised);
  for (float weight : faded.weights) EXPECT_NEAR(weight, 0.5, 1e-4);  // half-way from 1.5 to 2, in single precision
}

TEST(Guard, LooksAcrossPanelEdgesAndTapersThere) {
  GuardOfSphere guard(1, MPI_COMM_SELF, testing::distribution());
  const GuardGrid grid(positions());
  for (int cell : {place(0, 6, 11), place(4, 11, 5), place(1, 0, 0), place(5, 11, 11)}) {
    Sample sample = smooth_flow(100);
    add_whirl(sample, cell, 150);
    const Judged judged = guard.judge(sample);
    EXPECT_EQ(judged.weights[cell], 0.0f);
    bool crossed = false;
    for (int side = 0; side < 4; ++side) {
      const int beside = grid.neighbour[4 * cell + side];
      EXPECT_EQ(judged.weights[beside], 0.0f) << cell << " side " << side;
      crossed = crossed || beside / (kPanelCells * kPanelCells) != cell / (kPanelCells * kPanelCells);
    }
    EXPECT_TRUE(crossed);
    // The other side of the sphere is not concerned, and in between the weight falls step by step.
    EXPECT_GT(std::count(judged.weights.begin(), judged.weights.end(), 1.0f), 0.6 * cells());
    EXPECT_TRUE(std::any_of(judged.weights.begin(), judged.weights.end(), [](float w) { return w > 0 && w < 1; }));
    for (int at = 0; at < cells(); ++at)
      for (int side = 0; side < 4; ++side)
        EXPECT_LT(std::abs(judged.weights[at] - judged.weights[grid.neighbour[4 * at + side]]), 0.5f);
  }
}

TEST(Guard, OneOutputThatIsNotFiniteFallsBackThereAlone) {
  GuardOfSphere guard(1, MPI_COMM_SELF, testing::distribution());
  const int cell = place(2, 5, 11);
  for (float bad : {kNaN, std::numeric_limits<float>::infinity(), -4e-3f})  // the last is at the bound of its variable
    for (int v : {0, 2}) {
      Sample sample = smooth_flow(100);
      sample.target[v * cells() + cell] = bad;
      const Judged judged = guard.judge(sample);
      EXPECT_FALSE(judged.report.broken);
      EXPECT_EQ(judged.weights[cell], 0.0f);
      EXPECT_TRUE(std::all_of(judged.outputs.begin(), judged.outputs.end(), [](float y) { return std::isfinite(y); }));
      for (int c = 0; c < 4; ++c) EXPECT_EQ(judged.outputs[c * cells() + cell], 0.0f);
      EXPECT_GT(std::count(judged.weights.begin(), judged.weights.end(), 1.0f), 0.8 * cells());
      EXPECT_EQ(judged.outputs[place(0, 0, 0)], sample.target[place(0, 0, 0)]);
    }
}

TEST(Guard, InputOrWeightThatIsNotFiniteDisarmsTheNetworkEverywhere) {
  for (const bool knows : {true, false}) {  // a distribution, or the bounds only
    GuardOfSphere guard(1, MPI_COMM_SELF, knows ? testing::distribution() : TrainingDistribution());
    Sample sample = smooth_flow(100);
    EXPECT_TRUE(guard.judge(sample, false).report.broken);
    sample.input[2 * cells() + 77] = kNaN;
    const Judged judged = guard.judge(sample);
    EXPECT_TRUE(judged.report.broken);
    EXPECT_EQ(judged.report.rank_of_inputs, 0);
    EXPECT_EQ(judged.report.rank_of_weights, -1);
    EXPECT_EQ(judged.weights, std::vector<float>(cells(), 0.0f));
    EXPECT_EQ(judged.outputs, std::vector<float>(4 * cells(), 0.0f));
    EXPECT_FALSE(guard.judge(smooth_flow(100)).report.broken);  // and is at work again afterwards
  }
}

TEST(Guard, WithoutADistributionKeepsToBoundsAndFiniteness) {
  GuardOfSphere guard(1, MPI_COMM_SELF, {});
  Sample sample = smooth_flow(100);
  for (int cell = 0; cell < cells(); ++cell) sample.input[cells() + cell] += 100;
  EXPECT_EQ(guard.judge(sample).weights, std::vector<float>(cells(), 1.0f));
  sample.target[place(3, 3, 3)] = 4e-3f;  // the bound
  EXPECT_EQ(guard.judge(sample).weights[place(3, 3, 3)], 0.0f);
}

TEST(ParallelGuard, GivesTheSameBitsOnAnyRanksAndTiles) {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  Sample sample = smooth_flow(100);
  add_whirl(sample, place(0, 6, 11), 150);  // beside a panel's edge
  add_whirl(sample, place(4, 5, 5), 40);    // beside a tile's, only just foreign
  sample.target[place(2, 11, 0)] = kNaN;    // beside a corner
  GuardOfSphere alone(1, MPI_COMM_SELF, testing::distribution());
  const Judged expected = alone.judge(sample);
  EXPECT_TRUE(std::any_of(expected.weights.begin(), expected.weights.end(), [](float w) { return w > 0 && w < 1; }));
  for (int tiles : {1, 2, 3}) {
    GuardOfSphere together(tiles, MPI_COMM_WORLD, testing::distribution());
    together.judge(smooth_flow(101));  // what is left of one call must not show in the next
    const Judged judged = together.judge(sample);
    EXPECT_EQ(judged.weights, expected.weights) << tiles;
    EXPECT_EQ(judged.outputs, expected.outputs) << tiles;
    const bool here = rank == 0;
    const GuardReport spoilt = together.judge(sample, !here).report;
    EXPECT_TRUE(spoilt.broken) << "every rank must hear of one rank's weights";
    EXPECT_EQ(spoilt.rank_of_weights, 0);
    EXPECT_EQ(spoilt.rank_of_inputs, -1);
  }
}

TEST(ParallelMass, IsRestoredToRoundOffAndPhysicsAloneStaysAlone) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const auto restored = [](MPI_Comm comm, int at, int ranks, const Tiling& tiling, bool trips, double& lost) {
    const Grid grid(Tiling(kPanelCells, tiling.tiles_per_edge, ranks), at);
    std::vector<float> weight(cells()), wave(cells());
    const Sample sample = smooth_flow(7);
    for (int k = 0; k < cells(); ++k) {
      const double x = uniform_at(5, RandomStream::self_test, k);
      weight[k] = !trips ? 1.0f : static_cast<float>(x < 0.3 ? 0.0 : x < 0.6 ? (x - 0.3) / 0.3 : 1.0);
      wave[k] = weight[k] * (sample.target[k] + 3e-4f);
    }
    const auto mine = [&](const std::vector<float>& all) {
      return tiles_from_global(grid.tiling(), all, grid.first_tile(), grid.tile_count());
    };
    const std::vector<float> here = mine(wave), weights = mine(weight);
    std::vector<double> depth(here.begin(), here.end());
    const std::vector<double> before = depth;
    lost = restore_mass(grid, comm, mine(weight), depth);
    EXPECT_EQ(depth == before, !trips);
    double sums[2] = {0, 0};
    std::size_t k = 0;
    for (int tile = 0; tile < grid.tile_count(); ++tile) {
      const TilePlace place = grid.tiling().place(grid.first_tile() + tile);
      for (int j = 0; j < grid.tile_cells(); ++j)
        for (int i = 0; i < grid.tile_cells(); ++i, ++k) {
          const double area = grid.mean_sqrt_g(place.tj * grid.tile_cells() + j, place.ti * grid.tile_cells() + i);
          sums[0] += area * depth[k];
          sums[1] += area * std::abs(depth[k]);
          EXPECT_TRUE(weights[k] > 0 || depth[k] == 0);
        }
    }
    MPI_Allreduce(MPI_IN_PLACE, sums, 2, MPI_DOUBLE, MPI_SUM, comm);
    EXPECT_TRUE(!trips || std::abs(sums[0]) < 1e-14 * sums[1]) << sums[0];  // 864 terms of double precision
    std::vector<double> whole;
    tiles_to_global(grid.tiling(), depth.data(), grid.first_tile(), grid.tile_count(), whole);
    return whole;
  };
  for (int tiles : {1, 2}) {
    double lost = 0, lost_alone = 0;
    const Tiling grid(kPanelCells, tiles, size);
    const auto together = restored(MPI_COMM_WORLD, rank, size, grid, true, lost);
    const auto alone = restored(MPI_COMM_SELF, 0, 1, grid, true, lost_alone);
    EXPECT_EQ(lost, lost_alone);
    EXPECT_GT(lost, 0.3 * cells());
    const auto mine = [&](const std::vector<double>& all) {
      return tiles_from_global(grid, all, grid.first_tile(rank), grid.owned_count(rank));
    };
    EXPECT_EQ(mine(together), mine(alone));
    restored(MPI_COMM_WORLD, rank, size, grid, false, lost);
    EXPECT_EQ(lost, 0);
  }
}

TEST(FallbackTally, CountsCallsAndKeepsTheMap) {
  const Grid grid(Tiling(8, 1, 1), 0);
  FallbackTally tally(grid);
  EXPECT_EQ(tally.fraction(), 0);
  EXPECT_TRUE(tally.take_map().empty());
  std::vector<float> weights(6 * 64, 1.0f);
  tally.add(weights, 0, {});
  weights[5] = 0.25f;
  weights[9] = 0;
  tally.add(weights, 1.75, {2, 1, false});
  EXPECT_EQ(tally.last(), 1.75 / 384);
  EXPECT_EQ(tally.fraction(), 1.75 / 768);
  const auto map = tally.take_map();
  EXPECT_EQ(map[5], 0.375);
  EXPECT_EQ(map[9], 0.5);
  EXPECT_EQ(map[6], 0);
  EXPECT_TRUE(tally.take_map().empty());
  EXPECT_EQ(tally.fraction(), 1.75 / 768);
  EXPECT_EQ(tally.since(FallbackTally(grid), MPI_COMM_SELF).input, 2.0 / 768);
  EXPECT_EQ(tally.since(tally, MPI_COMM_SELF).lost, 0);
}

/// A model for flows of this sphere.
Model model_of_flows() {
  Model model = testing::lively_model(2);
  model.network.n = kPanelCells;
  model.network.width = 16;
  model.network.inputs = 5 + static_cast<int>(surrogate_statics(kPanelCells).variables.size());
  model.statics = surrogate_statics(kPanelCells).variables;
  model.weights = testing::lively_parameters<float>(build_graph(model.network));
  model.normaliser.bound = testing::bounds_alone().bound;
  model.normaliser.input_mean = {7500, 0, 0, 0, 0};
  model.normaliser.input_std = {300, 12, 12, 12, 1};
  model.normaliser.target_std = {1e-5, 1e-6, 1e-6, 1e-6};
  model.distribution = testing::distribution();
  model.make_self_test();
  return model;
}

TEST(GuardedSurrogate, KeepsWhatIsSoundAndDisarmsANetworkOfNaN) {
  const Model model = model_of_flows();
  const StaticFields statics = surrogate_statics(kPanelCells);
  const Tiling grid(kPanelCells, 1, 1);
  const SampleValues inputs = smooth_flow(100).input;
  const std::vector<float> zero(4 * cells(), 0.0f);
  for (const char* backend : {"reference", "onednn"}) {
    Surrogate plain(model, grid, MPI_COMM_SELF, backend), guarded(model, grid, MPI_COMM_SELF, backend);
    guarded.set_guard({}, positions());
    EXPECT_EQ(guarded.evaluate(inputs, statics.values), plain.evaluate(inputs, statics.values));
    EXPECT_EQ(guarded.not_finite(), 0);
    EXPECT_NE(plain.evaluate(inputs, statics.values), zero);
    // One weight, anywhere: a back end may turn NaN into numbers on the way.
    for (std::size_t at : {std::size_t{10}, model.weights.size() / 2, model.weights.size() - 1}) {
      Model spoilt = model;
      spoilt.weights[at] = kNaN;
      guarded.update(spoilt);
      EXPECT_EQ(guarded.evaluate(inputs, statics.values), zero) << backend << " weight " << at;
      EXPECT_TRUE(guarded.guard_report().broken);
    }
    Model loud = model;
    for (float& w : loud.weights) w *= 20;  // finite, and far too large
    guarded.update(loud);
    const auto said = guarded.evaluate(inputs, statics.values);
    EXPECT_GT(std::count(said.begin(), said.end(), 0.0f), 0.95 * 4 * cells());
    guarded.update(model);
    EXPECT_EQ(guarded.evaluate(inputs, statics.values), plain.evaluate(inputs, statics.values));
    Model older = model;
    older.distribution = {};
    guarded.update(older);
    EXPECT_FALSE(guarded.guard()->has_distribution());
    SampleValues bad = inputs;
    bad[cells() + 5] = kNaN;
    EXPECT_EQ(guarded.evaluate(bad, statics.values), zero);
  }
}

}  // namespace
}  // namespace tramontane
