#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <span>

#include "flow.hpp"
#include "kernels/errors.hpp"
#include "tests/ml/learner_fixture.hpp"

namespace tramontane {
namespace {

using testing::cells;
using testing::kPanelCells;
using testing::positions;
using testing::smooth_flow;

/// Features of a cell of fields (kGuardChannels, 6, n, n).
std::vector<double> features_of(const GuardGrid& grid, std::span<const float> fields, int cell) {
  const auto channels = [&](int place) {
    std::vector<float> values;
    for (int c = 0; c < kGuardChannels; ++c) values.push_back(fields[c * grid.cells() + place]);
    return values;
  };
  std::vector<std::vector<float>> around;
  for (int side = 0; side < 4; ++side) around.push_back(channels(grid.neighbour[4 * cell + side]));
  std::vector<double> x(kGuardFeatures);
  guard_features(channels(cell).data(), around[0].data(), around[1].data(), around[2].data(), around[3].data(),
                 &grid.geometry[static_cast<std::size_t>(cell) * kGuardGeometry], x.data());
  return x;
}

TEST(GuardFeatures, OfASolidRotationAndATiltedSurfaceAreExactAcrossEdges) {
  // Both are linear in the position, so chords between neighbours, also across panel edges, give their derivatives
  // exactly in the chords' plane. That plane is the tangent one but for terms of the order of the cell's width squared.
  const GuardGrid grid(positions());
  const int count = grid.cells();
  const double spin[3] = {0.3, -0.5, 0.8}, tilt[3] = {100, 200, -50};
  const auto position = [&](int cell, int c) { return static_cast<double>(positions()[c * count + cell]); };
  std::vector<float> fields(kGuardChannels * count);
  for (int cell = 0; cell < count; ++cell) {
    double height = 0;
    for (int c = 0; c < 3; ++c) {
      height += tilt[c] * position(cell, c);
      const int d = (c + 1) % 3, e = (c + 2) % 3;
      fields[(1 + c) * count + cell] = static_cast<float>(spin[d] * position(cell, e) - spin[e] * position(cell, d));
    }
    fields[cell] = static_cast<float>(height);
  }
  for (int cell = 0; cell < count; ++cell) {
    const std::vector<double> x = features_of(grid, fields, cell);
    const float* geometry = &grid.geometry[static_cast<std::size_t>(cell) * kGuardGeometry];
    double vorticity = 0, east = 0, north = 0;
    for (int c = 0; c < 3; ++c) {
      vorticity += 2 * spin[c] * position(cell, c);
      east += tilt[c] * geometry[12 + c];
      north += tilt[c] * geometry[15 + c];
    }
    EXPECT_NEAR(x[3], east, 8) << cell;  // of 229: the chords' plane beside a panel's edge leans by up to 2 degrees
    EXPECT_NEAR(x[4], north, 8) << cell;
    EXPECT_NEAR(x[5], vorticity, 0.05) << cell;
    EXPECT_NEAR(x[6], 0, 1e-5) << cell;
    EXPECT_LT(std::abs(x[7]), 10) << cell;  // the surface's curvature: 229 times the square of the cell's width
  }
}

TEST(TrainingDistribution, MeansAndDistancesAreThoseOfTheSamples) {
  const TrainingDistribution& d = testing::distribution();
  ASSERT_TRUE(d.has_right_sizes());
  const GuardGrid grid(positions());
  std::vector<double> square(d.bands, 0.0), mean(d.bands, 0.0), count(d.bands, 0.0);
  for (int number = 0; number < 24; ++number) {
    const Sample sample = smooth_flow(number);
    for (int cell = 0; cell < grid.cells(); ++cell) {
      const int band = grid.band[cell];
      const std::vector<double> x = features_of(grid, sample.input, cell);
      mean[band] += x[0];
      count[band] += 1;
      const float* weight = &d.whitening[static_cast<std::size_t>(band) * kGuardTriangle];
      for (int f = 0; f < kGuardFeatures; ++f) {
        double sum = 0;
        for (int g = 0; g <= f; ++g) sum += *weight++ * (x[g] - d.mean[band * kGuardFeatures + g]);
        square[band] += sum * sum;
      }
    }
  }
  for (int band = 0; band < d.bands; ++band) {
    EXPECT_NEAR(mean[band] / count[band], d.mean[band * kGuardFeatures], 0.01) << band;  // of 8000 in single precision
    // One but for the shrinkage of correlations, which makes distances along rare directions smaller, and round-off.
    EXPECT_LT(square[band] / count[band], 1.05) << band;
    EXPECT_GT(square[band] / count[band], 0.5) << band;
  }
}

TEST(TrainingDistribution, PartsMergeToTheWholeAndNumbersRestoreIt) {
  DistributionStatistics whole(positions()), first(positions()), second(positions());
  for (int number = 0; number < 6; ++number) {
    whole.add(smooth_flow(number));
    (number < 2 ? first : second).add(smooth_flow(number));
  }
  first.merge(second);
  const TrainingDistribution a = whole.finish(), b = first.finish();
  ASSERT_EQ(a.whitening.size(), b.whitening.size());
  const float largest = *std::max_element(a.whitening.begin(), a.whitening.end());
  for (std::size_t k = 0; k < a.whitening.size(); ++k)
    EXPECT_NEAR(a.whitening[k], b.whitening[k], 1e-5 * largest);  // single precision, through the factor's cancellation
  DistributionStatistics restored(positions());
  restored.restore(first.numbers());
  EXPECT_EQ(restored.finish(), b);
  EXPECT_EQ(restored.samples(), 6);
  EXPECT_THROW(restored.restore({1, 2, 3}), RunError);
  EXPECT_TRUE(DistributionStatistics(positions()).finish().empty());
}

TEST(TrainingDistribution, RefusesWhatIsNotFiniteOrOfAnotherGrid) {
  DistributionStatistics statistics(positions());
  Sample sample = smooth_flow(0);
  sample.input[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(statistics.add(sample), RunError);
  sample = smooth_flow(0);
  sample.target[3] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(statistics.add(sample), RunError);
  sample.target.resize(sample.target.size() - 1);
  EXPECT_THROW(statistics.add(sample), RunError);
  EXPECT_EQ(statistics.samples(), 0);
  EXPECT_THROW(GuardGrid({1, 2, 3}), InputError);
}

TEST(ParallelTrainingDistribution, IsReducedToTheSameBitsOnEveryRank) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  DistributionStatistics mine(positions()), whole(positions());
  for (int owner = 0; owner < size; ++owner) {
    DistributionStatistics of_owner(positions());
    for (int number = owner; number < 6; number += size) {
      of_owner.add(smooth_flow(number));
      if (owner == rank) mine.add(smooth_flow(number));
    }
    whole.merge(of_owner);
  }
  mine.reduce(MPI_COMM_WORLD, 60);
  EXPECT_EQ(mine.samples(), 6);
  EXPECT_EQ(mine.finish(), whole.finish());
}

TEST(ModelFileWithDistribution, TravelsExactlyAndOlderFilesLoadWithout) {
  Model model = testing::lively_model(2);
  const std::vector<std::byte> before = model.to_bytes();
  EXPECT_TRUE(Model::from_bytes(before, "an older file").distribution.empty());
  model.distribution.n = testing::kCells;
  model.distribution.bands = 2;
  model.distribution.mean = testing::noise<float>(2 * kGuardFeatures, 1);
  model.distribution.whitening = testing::noise<float>(2 * kGuardTriangle, 2);
  model.distribution.target_square = testing::noise<float>(2 * 6 * 8 * 8, 3);
  EXPECT_EQ(Model::from_bytes(model.to_bytes(), "memory"), model);
  model.distribution.mean.pop_back();
  EXPECT_THROW(model.to_bytes(), InputError);
}

}  // namespace
}  // namespace tramontane
