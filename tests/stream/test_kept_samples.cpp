// Samples that stay where a solver rank wrote them.
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "tests/stream/stream_fixtures.hpp"

namespace tramontane {
namespace {

using namespace test;

// Tiles that are panels, and variables of whole cache lines: what comes whole from one solver rank lies as in a sample.
constexpr int kCells = 4;

StreamOptions keeping(WhenFull policy, int queue, int keep) {
  StreamOptions options = options_of(policy, queue);
  options.keep = keep;
  return options;
}

TEST(KeptSamples, FramesOfOneRankLieAsSamples) {
  for (const int n : {4, 8, 12, 24, 48, 96}) {
    EXPECT_TRUE(FrameReader(FrameLayout{Tiling(n, 1, 1), 0, "run"}).lies_as_sample()) << n;
    EXPECT_FALSE(FrameReader(FrameLayout{Tiling(n, 2, 1), 0, "run"}).lies_as_sample()) << n;
    EXPECT_FALSE(FrameReader(FrameLayout{Tiling(n, 1, 2), 0, "run"}).lies_as_sample()) << n;
  }
}

TEST(KeptSamples, WhoWritesToLentNumbersGetsThemFirst) {
  const auto numbers = std::make_shared<const std::vector<float>>(std::vector<float>{1, 2, 3});
  SampleValues values;
  values.lend(*numbers, numbers);
  EXPECT_EQ(std::as_const(values).data(), numbers->data());
  const SampleValues copy = values;
  EXPECT_FALSE(copy.is_lent());
  EXPECT_TRUE(copy == values);
  SampleValues moved = std::move(values);
  EXPECT_TRUE(moved.is_lent());
  moved[1] = 7;
  EXPECT_FALSE(moved.is_lent());
  EXPECT_TRUE(moved == (SampleValues{1, 7, 3}));
  EXPECT_EQ((*numbers)[1], 2);
  moved.lend(*numbers, numbers);
  moved = SampleValues{4};
  EXPECT_FALSE(moved.is_lent());
  EXPECT_TRUE(moved == SampleValues{4});
  EXPECT_EQ(numbers.use_count(), 1);
}

/// A learner that keeps as many samples as it has, throws a random one away for each that comes, and looks at all of
/// them after each: none may have been written over. Returns those it has at the end, whose stream is gone.
std::deque<Sample> keep_samples(const StreamRoles& roles, const Tiling& g, const StreamOptions& options, bool lends) {
  StreamConsumer consumer(MPI_COMM_WORLD, roles, g, options);
  std::mt19937 random(5);
  std::deque<Sample> kept;
  std::deque<Sample> free(static_cast<std::size_t>(options.keep));
  for (Sample& sample : free) EXPECT_EQ(consumer.lend(sample), lends);
  Sample one_more;
  EXPECT_FALSE(consumer.lend(one_more));
  EXPECT_EQ(consumer.keeps_samples(), lends);
  while (consumer.wait(free.back())) {
    EXPECT_EQ(std::as_const(free.back()).input.is_lent(), lends);
    kept.push_back(std::move(free.back()));
    free.pop_back();
    for (const Sample& sample : kept) EXPECT_TRUE(same(sample, whole_sample(g, sample.info.number)));
    if (free.empty()) {
      const auto gone = static_cast<std::ptrdiff_t>(random() % kept.size());
      free.push_back(std::move(kept[static_cast<std::size_t>(gone)]));
      kept.erase(kept.begin() + gone);
    }
  }
  const Ledger ledger = consumer.finish();
  EXPECT_EQ(ledger.delivered + ledger.dropped, ledger.produced);
  EXPECT_EQ(ledger.rejected, 0);
  return kept;
}

TEST(ParallelKeptSamples, AreNotWrittenOver) {
  for (const StreamRoles& roles : splits())
    for (const int queue : {1, 2, 5})
      for (const WhenFull policy : {WhenFull::block, WhenFull::drop_oldest}) {
        const Tiling g(kCells, 1, static_cast<int>(roles.solvers.size()));
        const StreamOptions options = keeping(policy, queue, 6);
        if (const int solver = index_in(roles.solvers, world_rank()); solver >= 0) {
          StreamProducer producer(MPI_COMM_WORLD, roles, g, options);
          const std::size_t memory = producer.queue_bytes();
          for (int s = 0; s < 60; ++s) producer.push(info_of(s), OwnedTiles(g, solver, s).pointers);
          EXPECT_EQ(producer.queue_bytes(), memory);
          EXPECT_EQ(producer.keeping_learners(),
                    roles.solvers.size() == 1 ? static_cast<int>(roles.learners.size()) : 0);
          const Ledger ledger = producer.finish();
          if (policy == WhenFull::block) {
            EXPECT_EQ(ledger.delivered, 60);
          }
        } else if (index_in(roles.learners, world_rank()) >= 0) {
          const std::deque<Sample> kept = keep_samples(roles, g, options, roles.solvers.size() == 1);
          if (policy == WhenFull::block) {
            EXPECT_FALSE(kept.empty());
          }
          for (const Sample& sample : kept) EXPECT_TRUE(same(sample, whole_sample(g, sample.info.number)));
        }
        MPI_Barrier(MPI_COMM_WORLD);
      }
}

// Some samples with memory of their own between those that are lent: both ways in one stream. Rejected frames are not
// kept, and their memory goes back.
TEST(ParallelKeptSamples, StandBesideCopiesAndRejectedFrames) {
  const StreamRoles roles = splits().front();
  if (roles.solvers.size() != 1) return;
  const Tiling g(kCells, 1, 1);
  StreamOptions options = keeping(WhenFull::block, 2, 3);
  options.tamper = [](std::int64_t sample, std::span<std::byte> bytes) {
    if (sample % 5 == 3) bytes[bytes.size() / 2] ^= std::byte{4};
    if (sample % 5 == 4) bytes[9] ^= std::byte{1};  // of what no frame changes
    return bytes.size();
  };
  const int samples = 100;
  if (index_in(roles.solvers, world_rank()) >= 0) {
    StreamProducer producer(MPI_COMM_WORLD, roles, g, options);
    for (int s = 0; s < samples; ++s) producer.push(info_of(s), OwnedTiles(g, 0, s).pointers);
    EXPECT_GT(producer.finish().rejected, 0);
  } else if (index_in(roles.learners, world_rank()) >= 0) {
    StreamConsumer consumer(MPI_COMM_WORLD, roles, g, options);
    std::deque<Sample> ring(5);
    for (int k = 0; k < 3; ++k) EXPECT_TRUE(consumer.lend(ring[static_cast<std::size_t>(k)]));
    int taken = 0;
    for (; consumer.wait(ring.front()); ++taken) {
      EXPECT_NE(ring.front().info.number % 5, 3);
      EXPECT_NE(ring.front().info.number % 5, 4);
      EXPECT_EQ(std::as_const(ring.front()).input.is_lent(), taken % 5 < 3);
      ring.push_back(std::move(ring.front()));
      ring.pop_front();
      for (const Sample& sample : ring)
        if (sample.info.number >= 0) {
          EXPECT_TRUE(same(sample, whole_sample(g, sample.info.number)));
        }
    }
    EXPECT_EQ(consumer.finish().rejected, samples - samples / 5 * 3);
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

// More than a machine has: the learner copies, as ever.
TEST(ParallelKeptSamples, AreCopiedWhereMemoryIsLacking) {
  for (const StreamRoles& roles : splits()) {
    const Tiling g(kCells, 1, static_cast<int>(roles.solvers.size()));
    StreamOptions options = keeping(WhenFull::block, 2, 0);
    const int solver = index_in(roles.solvers, world_rank());
    if (solver < 0) options.keep = 100'000'000;  // some terabytes
    if (solver >= 0) {
      StreamProducer producer(MPI_COMM_WORLD, roles, g, options);
      for (int s = 0; s < 10; ++s) producer.push(info_of(s), OwnedTiles(g, solver, s).pointers);
      EXPECT_EQ(producer.keeping_learners(), 0);
      EXPECT_EQ(producer.sharing_learners(), static_cast<int>(roles.learners.size()));
      EXPECT_EQ(producer.finish().delivered, 10);
    } else if (index_in(roles.learners, world_rank()) >= 0) {
      StreamConsumer consumer(MPI_COMM_WORLD, roles, g, options);
      Sample sample;
      EXPECT_FALSE(consumer.lend(sample));
      EXPECT_EQ(consumer.why_not_kept().empty(), roles.solvers.size() > 1);
      EXPECT_EQ(consumer.kept_bytes(), 0u);
      take_all(consumer, g, {});
      consumer.finish();
    }
    MPI_Barrier(MPI_COMM_WORLD);
  }
}

}  // namespace
}  // namespace tramontane
