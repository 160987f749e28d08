#include <gtest/gtest.h>

#include <span>

#include "kernels/errors.hpp"
#include "ml/surrogate.hpp"
#include "tests/ml/learner_fixture.hpp"

namespace tramontane {
namespace {

using testing::kCells;
using testing::lively_model;

/// Fields (count, 6, n, n) cut to the tiles of one rank.
std::vector<float> on_tiles(const Tiling& grid, std::span<const float> fields, int rank) {
  std::vector<float> out;
  const std::size_t cells = grid.cell_count();
  for (std::size_t v = 0; v < fields.size() / cells; ++v) {
    const std::vector<float> field(fields.begin() + v * cells, fields.begin() + (v + 1) * cells);
    const auto part = tiles_from_global(grid, field, grid.first_tile(rank), grid.owned_count(rank));
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

TEST(ParallelSurrogate, EqualsOneRankInEveryBit) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  Model model = lively_model(2);
  model.network.width = 16;
  model.weights = testing::lively_parameters<float>(build_graph(model.network));
  model.make_self_test();
  const Sample sample = testing::synthetic_sample(3);
  const auto statics = testing::static_fields().values;
  for (const char* backend : {"onednn", "reference"})
    for (int tiles : {1, 2}) {
      const Tiling one(kCells, tiles, 1), many(kCells, tiles, size);
      Surrogate alone(model, one, MPI_COMM_SELF, backend, 60), together(model, many, MPI_COMM_WORLD, backend, 60);
      const auto whole = alone.evaluate(on_tiles(one, sample.input, 0), on_tiles(one, statics, 0));
      // Twice: buffers of the first evaluation must not show in the second.
      together.evaluate(on_tiles(many, sample.input, rank), on_tiles(many, statics, rank));
      const auto mine = together.evaluate(on_tiles(many, sample.input, rank), on_tiles(many, statics, rank));
      const std::size_t owned = static_cast<std::size_t>(many.owned_count(rank)) * many.cells_per_tile();
      ASSERT_EQ(mine.size(), 4 * owned);
      double largest = 0;
      for (int v = 0; v < 4; ++v)
        for (std::size_t c = 0; c < owned; ++c) {
          const float expected =
              whole[static_cast<std::size_t>(v) * one.cell_count() + many.first_tile(rank) * many.cells_per_tile() + c];
          ASSERT_EQ(mine[v * owned + c], expected) << backend << " tiles " << tiles << " variable " << v;
          largest = std::max(largest, static_cast<double>(std::abs(expected)));
        }
      EXPECT_GT(largest, 0);
    }
}

TEST(Surrogate, EqualsTheTrainersNetworkInPhysicalUnits) {
  Model model = lively_model(2);
  for (double& bound : model.normaliser.bound) bound *= 0.2;  // so that some values meet it
  const Sample sample = testing::synthetic_sample(3);
  const StaticFields fields = testing::static_fields();
  const Tiling grid(kCells, 1, 1);
  BatchLayout layout(grid, fields, 5, 4);
  layout.set_normaliser(model.normaliser);
  Network<float> network(build_graph(model.network), make_backend<float>("reference"),
                         std::make_shared<LocalHalo<float>>(grid, 1), false);
  layout.stage({&sample});
  layout.write_statics(1, network.input_stride(), network.input());
  std::int64_t not_finite = 0;
  layout.gather(0, 1, network.input_stride(), network.input(), &not_finite);
  ASSERT_EQ(not_finite, 0);
  network.set_parameters(model.weights.data());
  network.forward();
  Surrogate surrogate(model, grid, MPI_COMM_SELF, "reference");
  const auto y = surrogate.evaluate(sample.input, fields.values);
  int clamped = 0, free = 0;
  for (int v = 0; v < 4; ++v)
    for (int c = 0; c < grid.cell_count(); ++c) {
      const float raw = static_cast<float>(model.normaliser.target_std[v]) * network.output()[c * 16 + v];
      const float bound = static_cast<float>(model.normaliser.bound[v]);
      EXPECT_EQ(y[v * grid.cell_count() + c], std::clamp(raw, -bound, bound));
      (std::abs(raw) > bound ? clamped : free)++;
    }
  EXPECT_GT(clamped, 0);
  EXPECT_GT(free, 0);
}

TEST(Surrogate, StubAndUntrainedSayZero) {
  Model model = lively_model(2);
  const Tiling grid(kCells, 2, 1);
  const std::vector<float> inputs(5 * grid.cell_count(), 1.0f), statics(4 * grid.cell_count(), 1.0f);
  const std::vector<float> zero(4 * grid.cell_count(), 0.0f);
  EXPECT_EQ(Surrogate(model, grid, MPI_COMM_SELF, "stub").evaluate(inputs, statics), zero);
  model.weights = initial_parameters(build_graph(model.network), 1);
  EXPECT_EQ(Surrogate(model, grid, MPI_COMM_SELF, "onednn").evaluate(inputs, statics), zero);
}

TEST(Surrogate, UpdateTakesNewWeightsAndRefusesAnotherNetwork) {
  const Model model = lively_model(2);
  const Tiling grid(kCells, 1, 1);
  const auto inputs = testing::synthetic_sample(1).input;
  const auto statics = testing::static_fields().values;
  Model newer = model;
  for (float& w : newer.weights) w *= 0.9f;
  newer.normaliser.bound.assign(4, 1e-7);
  Surrogate a(model, grid, MPI_COMM_SELF), b(newer, grid, MPI_COMM_SELF);
  EXPECT_NE(a.evaluate(inputs, statics), b.evaluate(inputs, statics));
  a.update(newer);
  EXPECT_EQ(a.evaluate(inputs, statics), b.evaluate(inputs, statics));
  EXPECT_THROW(a.update(lively_model(3)), InputError);
  EXPECT_THROW(Surrogate(model, Tiling(16, 1, 1), MPI_COMM_SELF), InputError);
  EXPECT_THROW(Surrogate(lively_model(3), Tiling(kCells, 4, 1), MPI_COMM_SELF), InputError);
  EXPECT_THROW(a.evaluate(statics, inputs), InputError);
}

}  // namespace
}  // namespace tramontane
