#include <gtest/gtest.h>

#include <chrono>

#include "kernels/errors.hpp"
#include "kernels/ordered_sum.hpp"
#include "ml/gradient_reduction.hpp"
#include "tests/ml/network_fixture.hpp"

namespace tramontane {
namespace {

using Space = Kokkos::DefaultHostExecutionSpace;

TEST(ExactSums, DoNotDependOnTheOrder) {
  // Terms over 24 binary orders of magnitude: in single precision every order gives another sum.
  const std::size_t size = 3000;
  const int terms = 7;
  std::vector<std::vector<float>> parts;
  for (int t = 0; t < terms; ++t) {
    parts.push_back(testing::noise<float>(size, 40 + t));
    for (std::size_t k = 0; k < size; ++k)
      parts.back()[k] = std::ldexp(parts.back()[k], -static_cast<int>((7 * t + k) % 24));
  }
  auto sum = [&](int first, int step) {
    std::vector<std::int64_t> sums(size, 12345);
    std::int64_t bad = 0;
    for (int t = 0; t < terms; ++t) {
      std::vector<float> part = parts[(first + t * step) % terms];
      add_exactly<Space>(0, size, 100.0f, t == 0, part.data(), sums.data(), &bad);
      EXPECT_EQ(part, std::vector<float>(size, 0.0f));
    }
    EXPECT_EQ(bad, 0);
    std::vector<float> values(size);
    exact_to_float<Space>(0, size, sums.data(), values.data());
    return values;
  };
  const std::vector<float> one = sum(0, 1);
  EXPECT_EQ(one, sum(3, 1));
  EXPECT_EQ(one, sum(2, 5));
  for (std::size_t k = 0; k < size; ++k) {
    double reference = 0;
    for (const auto& part : parts) reference += part[k];
    // Terms below 2^-27 are cut at the unit: at most one unit each; then one rounding.
    EXPECT_NEAR(one[k], reference, 0x1p-24 * std::abs(reference) + terms * 0x1p-50);
  }
}

TEST(ExactSums, CutWhatIsTooLargeAndNoteWhatIsNotFinite) {
  const float huge = std::numeric_limits<float>::max();
  for (const float wild : {huge, -huge, INFINITY, -INFINITY, std::nanf("")}) {
    std::vector<float> terms = {0.5f, wild, -0.25f};
    std::vector<std::int64_t> sums(3, 0);
    std::int64_t bad = 0;
    add_exactly<Space>(0, 3, 2048.0f, false, terms.data(), sums.data(), &bad);
    EXPECT_EQ(bad, std::isfinite(wild) ? 0 : 1);
    std::vector<float> values(3);
    exact_to_float<Space>(0, 3, sums.data(), values.data());
    EXPECT_EQ(values[0], 0.5f);
    EXPECT_EQ(values[2], -0.25f);
    EXPECT_TRUE(!std::isfinite(wild) || values[1] == (wild > 0 ? 2048.0f : -2048.0f));
  }
}

TEST(OrderedSum, EqualsTheSumInAnyOrder) {
  // Integers: every order of summation is exact, so the result must be too. Sizes around the borders of lanes and
  // chunks, and one with more rows a chunk than the least.
  for (const std::size_t count : {1, 31, 32, 33, 1023, 1024, 1025, 30000, 600000}) {
    const std::size_t segments = count < 1000 ? 3 : 1;
    std::vector<double> values(segments * count), workspace(ordered_sums_workspace(segments, count)), sums(segments);
    std::vector<float> roots(segments * count);
    std::vector<double> expected(segments, 0.0), squares(segments, 0.0);
    for (std::size_t k = 0; k < values.size(); ++k) {
      values[k] = static_cast<double>(k * 7919 % 1000) - 300;
      roots[k] = static_cast<float>(values[k]);
      expected[k / count] += values[k];
      squares[k / count] += values[k] * values[k];
    }
    ordered_sums<Space>(segments, count, Elements{values.data()}, workspace.data(), sums.data());
    EXPECT_EQ(sums, expected) << count;
    ordered_sums<Space>(segments, count, SquaresOfElements{roots.data()}, workspace.data(), sums.data());
    EXPECT_EQ(sums, squares) << count;
  }
}

NetworkGraph three_blocks() {
  NetworkGraph graph;
  graph.blocks = {{"a", {1000}, 0, 1000, true, 1}, {"b", {40}, 1000, 40, false, 0}, {"c", {700}, 1040, 700, true, 1}};
  return graph;
}

TEST(GradientBuckets, CoverEverythingLastBlockFirst) {
  NetworkGraph graph = three_blocks();
  graph.nodes.clear();
  for (const std::size_t bytes : {1, 2800, 2900, 1 << 20}) {
    const auto buckets = gradient_buckets(graph, bytes);
    EXPECT_EQ(buckets.size(), bytes == 1 ? 3u : bytes == 2800 ? 2u : bytes == 2900 ? 2u : 1u);
    std::size_t end = kExactStatus + 1740;
    int last = 3;
    for (const GradientBucket& b : buckets) {
      EXPECT_EQ(b.end, end);
      EXPECT_EQ(b.last_block, last);
      end = b.begin;
      last = b.first_block;
    }
    EXPECT_EQ(end, 0u);
    EXPECT_EQ(last, 0);
  }
}

// Every rank's share of every bucket, uneven ones and empty ones included, for several steps.
TEST(ParallelGradientReduction, AddsUpEveryElement) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const std::size_t elements = kExactStatus + 1740;
  std::vector<std::int64_t> sums(elements);
  std::vector<float> reduced(elements);
  const auto buckets = gradient_buckets(three_blocks(), 1);
  auto reducer = make_gradient_reducer(MPI_COMM_WORLD, {Memory::host, sums.data(), reduced.data(), buckets}, 60);
  for (int step = 0; step < 3; ++step) {
    for (std::size_t k = 0; k < elements; ++k) sums[k] = static_cast<std::int64_t>((rank + 1) * (k + step)) << 40;
    for (std::size_t b = 0; b < buckets.size(); ++b) {
      reducer->start(b);
      if (rank % 2 == 0) reducer->progress();  // ranks look after their transfers at different moments
    }
    reducer->finish();
    for (std::size_t k = 0; k < elements; ++k)
      ASSERT_EQ(reduced[k], static_cast<float>((k + step) * size * (size + 1) / 2) * 0x1p-10f) << k;
  }
}

TEST(ParallelGradientReduction, HasADeadline) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (size == 1) GTEST_SKIP() << "one rank waits for nobody";
  std::vector<std::int64_t> sums(kExactStatus + 1740, 1);
  std::vector<float> reduced(sums.size());
  const auto buckets = gradient_buckets(three_blocks(), 1 << 20);
  // Rank 0 is late by more than the others wait. The transfers are completed after that: MPI must be left in order.
  const double deadline = rank == 0 ? 60 : 0.2;
  auto reducer = make_gradient_reducer(MPI_COMM_WORLD, {Memory::host, sums.data(), reduced.data(), buckets}, deadline);
  if (rank > 0) {
    reducer->start(0);
    EXPECT_THROW(reducer->finish(), RunError);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) {
    reducer->start(0);
    reducer->finish();
  } else {
    bool finished = false;
    for (int tries = 0; !finished && tries < 300; ++tries) try {
        reducer->finish();
        finished = true;
      } catch (const RunError&) {
      }
    EXPECT_TRUE(finished);
  }
}

}  // namespace
}  // namespace tramontane
