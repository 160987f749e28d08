#include <gtest/gtest.h>

#include "kernels/errors.hpp"
#include "tests/ml/learner_fixture.hpp"

namespace tramontane {
namespace {

using testing::kCells;
using testing::synthetic_samples;

// Two-pass sums in long double against the one-pass formula: round-off of a few thousand terms, 1e-12 relative.
TEST(Normaliser, EqualsTwoPassAreaWeightedMoments) {
  const auto samples = synthetic_samples(3);
  const auto area = testing::static_fields().area;
  const Normaliser n = testing::normaliser_of(samples);
  const std::size_t cells = area.size();
  auto moments = [&](bool target, int v) {
    long double weight = 0, mean = 0, squares = 0, largest = 0;
    auto value = [&](const Sample& s, std::size_t c) -> long double {
      return (target ? s.target : s.input)[v * cells + c];
    };
    for (const Sample& s : samples)
      for (std::size_t c = 0; c < cells; ++c) {
        weight += area[c];
        mean += area[c] * value(s, c);
        largest = std::max(largest, std::abs(value(s, c)));
      }
    mean /= weight;
    for (const Sample& s : samples)
      for (std::size_t c = 0; c < cells; ++c) squares += area[c] * (value(s, c) - mean) * (value(s, c) - mean);
    return std::array<double, 3>{static_cast<double>(mean), static_cast<double>(std::sqrt(squares / weight)),
                                 static_cast<double>(largest)};
  };
  // The scalar of each kind.
  const auto [mean, deviation, largest] = moments(false, 0);
  EXPECT_NEAR(n.input_mean[0], mean, 1e-12 * (std::abs(mean) + deviation));
  EXPECT_NEAR(n.input_std[0], deviation, 1e-12 * deviation);
  EXPECT_NEAR(n.target_std[0], moments(true, 0)[1], 1e-12 * moments(true, 0)[1]);
  EXPECT_DOUBLE_EQ(n.bound[0], 1.5 * moments(true, 0)[2]);
  // The vectors: no mean, and one scale, the root mean square over components and cells.
  for (const bool target : {false, true}) {
    double mean_square = 0, most = 0;
    for (int v = 1; v < 4; ++v) {
      const auto [m, d, l] = moments(target, v);
      mean_square += (m * m + d * d) / 3;
      most = std::max(most, l);
    }
    for (int v = 1; v < 4; ++v) {
      if (!target) {
        EXPECT_EQ(n.input_mean[v], 0.0);
      }
      EXPECT_NEAR((target ? n.target_std : n.input_std)[v], std::sqrt(mean_square), 1e-12 * std::sqrt(mean_square));
      if (target) {
        EXPECT_DOUBLE_EQ(n.bound[v], 1.5 * most);
      }
    }
  }
  EXPECT_EQ(n.input_mean[4], 0.0);  // flat orography
  EXPECT_EQ(n.input_std[4], 1.0);
  EXPECT_EQ(n.samples, 3);
}

TEST(Normaliser, NamesASampleThatIsNotFinite) {
  auto samples = synthetic_samples(1);
  samples[0].target[7] = NAN;
  EXPECT_THROW(testing::normaliser_of(samples), RunError);
  EXPECT_THROW(NormaliserStatistics(testing::static_fields().area, 5, 4).finish(1.5), RunError);
}

TEST(ParallelNormaliser, RanksMergeToTheWhole) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const auto samples = synthetic_samples(7);
  NormaliserStatistics mine(testing::static_fields().area, 5, 4);
  for (int k = rank; k < 7; k += size) mine.add(samples[k]);
  mine.reduce(MPI_COMM_WORLD, 60);
  const Normaliser merged = mine.finish(1.5), whole = testing::normaliser_of(samples);
  EXPECT_EQ(merged.samples, 7);
  EXPECT_EQ(merged.bound, whole.bound);
  for (int v = 0; v < 4; ++v) {  // another order of the same sums
    EXPECT_NEAR(merged.input_mean[v], whole.input_mean[v], 1e-12 * whole.input_std[v] + 1e-12 * whole.input_mean[v]);
    EXPECT_NEAR(merged.target_std[v], whole.target_std[v], 1e-12 * whole.target_std[v]);
  }
}

}  // namespace
}  // namespace tramontane
