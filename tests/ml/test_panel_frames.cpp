#include <gtest/gtest.h>

#include <span>

#include "kernels/errors.hpp"
#include "ml/network.hpp"
#include "ml/panel_frames.hpp"
#include "ml/surrogate.hpp"
#include "tests/ml/learner_fixture.hpp"

namespace tramontane {
namespace {

using testing::kCells;

/// Axes (6, n + 2, n + 2, 6) that differ from cell to cell; the frames need no geometry to be tested.
PanelAxesTable uneven_axes(int n) {
  return testing::noise<float>(6 * (n + 2) * (n + 2) * 6, 77);
}

TEST(PanelFrames, TurnsPaddedCellsByTheirOwnAxes) {
  const Tiling grid(kCells, 2, 1);
  const PanelAxesTable axes = uneven_axes(kCells);
  const int size = grid.tile_cells(), stride = 5, at = 1;
  const PanelFrames frames(grid, axes, 3, 2);
  std::vector<double> cells = testing::noise<double>(2 * (size + 2) * (size + 2) * stride, 5);
  const std::vector<double> before = cells;
  frames.to_panel(cells.data(), 2, stride, at);
  // The first padded cell of tile 3 (panel 0, tj 1, ti 1) lies at (size, size) of the extended panel.
  const float* axis = &axes[((0 * (kCells + 2) + size) * (kCells + 2) + size) * 6];
  const double along = before[1] * axis[0] + before[2] * axis[1] + before[3] * axis[2];
  EXPECT_NEAR(cells[1], along, 1e-14);
  EXPECT_NEAR(cells[3], std::sqrt(before[1] * before[1] + before[2] * before[2] + before[3] * before[3]), 1e-14);
  EXPECT_EQ(cells[0], before[0]);
  EXPECT_EQ(cells[4], before[4]);
}

TEST(PanelFrames, GradientIsTheAdjoint) {
  // <F x, y> = <x, F' y>, in double: round-off of a few hundred products.
  const Tiling grid(kCells, 1, 1);
  const PanelFrames frames(grid, uneven_axes(kCells), 0, grid.tile_count());
  const int stride = 4, at = 1, images = 2 * grid.tile_count();
  const std::size_t count = static_cast<std::size_t>(images) * grid.cells_per_tile() * stride;
  const std::vector<double> x = testing::noise<double>(count, 8), y = testing::noise<double>(count, 9);
  std::vector<double> forward = x, backward = y;
  frames.to_cartesian(forward.data(), images, stride, at);
  frames.to_cartesian_adjoint(backward.data(), images, stride, at);
  double left = 0, right = 0;
  for (std::size_t k = 0; k < count; ++k) {
    left += forward[k] * y[k];
    right += x[k] * backward[k];
  }
  EXPECT_NEAR(left, right, 1e-11);
}

TEST(PanelFrames, RefusesATableOfAnotherGrid) {
  EXPECT_THROW(PanelFrames(Tiling(kCells, 1, 1), uneven_axes(kCells + 1), 0, 6), InputError);
}

TEST(PanelFrames, TrainerAndSurrogateAgree) {
  // One optimiser step with frames, then the same weights through inference: the loss that the trainer reports for the
  // sample must be what the surrogate's answer gives.
  StaticFields statics = testing::static_fields();
  statics.axes = uneven_axes(kCells);
  const std::vector<Sample> samples = testing::synthetic_samples(2);
  Trainer trainer(testing::learner_spec(), {}, statics, MPI_COMM_SELF, "reference");
  trainer.set_normaliser(testing::normaliser_of(samples));
  for (int k = 0; k < 5; ++k) trainer.step(testing::pointers(samples, 0, 2));
  const ValidationReport report = trainer.validate(testing::pointers(samples, 0, 1));
  Model model = trainer.model();
  EXPECT_EQ(model.vector_frame, "panel");
  EXPECT_THROW(Surrogate(model, Tiling(kCells, 1, 1), MPI_COMM_SELF, "reference", 60), InputError);
  for (double& bound : model.normaliser.bound) bound = 1e9;  // the trainer's loss knows no bounds
  Surrogate surrogate(model, Tiling(kCells, 1, 1), MPI_COMM_SELF, "reference", 60, statics.axes);
  const std::vector<float> answer = surrogate.evaluate(samples[0].input, statics.values);
  double loss = 0, area = 0;
  for (double a : statics.area) area += a;
  const std::size_t cells = statics.area.size();
  for (int v = 0; v < 4; ++v)
    for (std::size_t c = 0; c < cells; ++c) {
      const double error = (answer[v * cells + c] - samples[0].target[v * cells + c]) / model.normaliser.target_std[v];
      loss += statics.area[c] / area * error * error / 4;
    }
  EXPECT_NEAR(loss / report.loss, 1.0, 1e-4);  // single-precision fields
}

TEST(ParallelPanelFrames, SameBitsOnAnyRanks) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  Model model = testing::lively_model(2);
  model.vector_frame = "panel";
  const PanelAxesTable axes = uneven_axes(kCells);
  const Sample sample = testing::synthetic_sample(3);
  const auto statics = testing::static_fields().values;
  const Tiling one(kCells, 1, 1), many(kCells, 1, size);
  // One tile a panel: global fields are fields on tiles.
  const std::vector<float> whole =
      Surrogate(model, one, MPI_COMM_SELF, "onednn", 60, axes).evaluate(sample.input, statics);
  const std::size_t cells = one.cell_count(),
                    first = static_cast<std::size_t>(many.first_tile(rank)) * many.cells_per_tile(),
                    owned = static_cast<std::size_t>(many.owned_count(rank)) * many.cells_per_tile();
  auto mine = [&](std::span<const float> fields) {
    std::vector<float> part;
    for (std::size_t v = 0; v < fields.size() / cells; ++v)
      part.insert(part.end(), fields.begin() + v * cells + first, fields.begin() + v * cells + first + owned);
    return part;
  };
  EXPECT_EQ(Surrogate(model, many, MPI_COMM_WORLD, "onednn", 60, axes).evaluate(mine(sample.input), mine(statics)),
            mine(whole));
}

}  // namespace
}  // namespace tramontane
