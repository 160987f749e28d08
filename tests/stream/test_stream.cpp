#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <thread>

#include "kernels/errors.hpp"
#include "src/stream/stream.hpp"
#include "stream_fixtures.hpp"

namespace tramontane {
namespace {

using test::index_in;
using test::info_of;
using test::options_of;
using test::OwnedTiles;
using test::splits;
using test::world_rank;
using test::world_size;

struct StreamResult {
  Ledger totals;
  std::vector<std::int64_t> taken;   // learners: sample numbers
  std::vector<std::int64_t> pushed;  // solvers: admitted sample numbers
  std::string rejection;
};

/// Streams `samples` samples; the learner sleeps `slow` before each look. Checks every sample it gets.
StreamResult run_stream(const StreamRoles& roles, const StreamOptions& options, int samples,
                        std::chrono::milliseconds slow = {}) {
  const Tiling g(4, 2, static_cast<int>(roles.solvers.size()));
  StreamResult out;
  if (const int solver = index_in(roles.solvers, world_rank()); solver >= 0) {
    StreamProducer producer(MPI_COMM_WORLD, roles, g, options);
    const std::size_t memory = producer.queue_bytes();
    for (int s = 0; s < samples; ++s) {
      const OwnedTiles tiles(g, solver, s);
      bool is_filled = s % 2 == 0;  // every other frame is filled where it lies
      const auto fill = [&](std::span<float* const> variables) {
        for (std::size_t v = 0; v < variables.size(); ++v)
          std::copy_n(tiles.pointers[v], FrameLayout{g, solver, ""}.variable_cells(), variables[v]);
        is_filled = true;
      };
      const bool pushed = s % 2 ? producer.push(info_of(s), fill) : producer.push(info_of(s), tiles.pointers);
      if (pushed) out.pushed.push_back(s);
      EXPECT_EQ(is_filled, pushed || s % 2 == 0) << "sample " << s;
      EXPECT_TRUE(producer.ledger().closed()) << to_string(producer.ledger());
      EXPECT_LE(producer.ledger().in_flight, options.queue);
    }
    EXPECT_EQ(producer.queue_bytes(), memory);
    out.totals = producer.finish();
  } else {
    StreamConsumer consumer(MPI_COMM_WORLD, roles, g, options);
    const std::size_t memory = consumer.buffer_bytes();
    out.taken = test::take_all(consumer, g, slow);
    EXPECT_TRUE(consumer.finished());
    EXPECT_EQ(consumer.buffer_bytes(), memory);
    out.rejection = consumer.last_rejection();
    out.totals = consumer.finish();
  }
  MPI_Barrier(MPI_COMM_WORLD);
  return out;
}

/// The count of samples in `list`, summed over the ranks.
long total(std::size_t mine) {
  long sum = static_cast<long>(mine);
  MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_LONG, MPI_SUM, MPI_COMM_WORLD);
  return sum;
}

TEST(ParallelStream, SamplesArriveWholeAndInOrder) {
  for (const StreamRoles& roles : splits())
    for (const int queue : {1, 2, 5, -2}) {  // negative: by messages alone
      const int samples = 11;
      const StreamResult out = run_stream(roles, options_of(WhenFull::block, std::abs(queue), queue > 0), samples);
      const int learner = index_in(roles.learners, world_rank());
      if (learner >= 0) {
        std::vector<std::int64_t> due;
        for (int s = learner; s < samples; s += static_cast<int>(roles.learners.size())) due.push_back(s);
        EXPECT_EQ(out.taken, due);
      } else {
        EXPECT_EQ(out.pushed.size(), static_cast<std::size_t>(samples));
      }
      EXPECT_EQ(out.totals.produced, samples);
      EXPECT_EQ(out.totals.delivered, samples);
      EXPECT_EQ(out.totals.dropped, 0);
      EXPECT_EQ(out.totals.in_flight, 0);
    }
}

TEST(ParallelStream, EmptyStreamEnds) {
  for (const StreamRoles& roles : splits()) {
    const StreamResult out = run_stream(roles, options_of(WhenFull::block), 0);
    EXPECT_EQ(out.totals, Ledger{});
  }
}

TEST(ParallelStream, EveryPolicyClosesUnderASlowLearner) {
  for (const StreamRoles& roles : splits())
    for (const WhenFull policy : {WhenFull::block, WhenFull::drop_oldest, WhenFull::drop_newest}) {
      const int samples = 40;
      const StreamResult out = run_stream(roles, options_of(policy, 3), samples, std::chrono::milliseconds(3));
      EXPECT_EQ(out.totals.produced, samples);
      EXPECT_EQ(out.totals.delivered + out.totals.dropped, samples);
      EXPECT_EQ(total(out.taken.size()), out.totals.delivered);
      if (policy == WhenFull::block) {
        EXPECT_EQ(out.totals.dropped, 0);
      }
    }
}

// A learner that sleeps while the solver pushes everything: what is kept is known exactly.
TEST(ParallelStream, PoliciesKeepTheRightSamples) {
  for (const StreamRoles& roles : splits()) {
    if (roles.learners.size() != 1) continue;
    for (const WhenFull policy : {WhenFull::drop_oldest, WhenFull::drop_newest}) {
      const Tiling g(4, 2, static_cast<int>(roles.solvers.size()));
      const StreamOptions options = options_of(policy, 4);  // of which 2 go out at once
      std::vector<std::int64_t> taken;
      if (const int solver = index_in(roles.solvers, world_rank()); solver >= 0) {
        StreamProducer producer(MPI_COMM_WORLD, roles, g, options);
        for (int s = 0; s < 10; ++s) producer.push(info_of(s), OwnedTiles(g, solver, s).pointers);
        EXPECT_EQ(producer.ledger().dropped, 6);
        MPI_Barrier(MPI_COMM_WORLD);
        producer.finish();
      } else {
        StreamConsumer consumer(MPI_COMM_WORLD, roles, g, options);
        MPI_Barrier(MPI_COMM_WORLD);
        while (const std::optional<Sample> sample = consumer.wait()) taken.push_back(sample->info.number);
        consumer.finish();
        EXPECT_EQ(taken, policy == WhenFull::drop_oldest ? (std::vector<std::int64_t>{0, 1, 8, 9})
                                                         : (std::vector<std::int64_t>{0, 1, 2, 3}));
      }
    }
  }
}

// The learner makes no MPI call at all while the solver ranks push: they wait for each other and for nobody else. The
// frames are too long for MPI to take them without the receiver.
TEST(ParallelStream, DroppingPoliciesNeverWaitForTheLearner) {
  const test::SharedFolder folder;
  int run = 0;
  for (const StreamRoles& roles : splits())
    for (const WhenFull policy : {WhenFull::drop_oldest, WhenFull::drop_newest})
      for (const bool share : {true, false}) {
        const Tiling g(48, 2, static_cast<int>(roles.solvers.size()));
        const StreamOptions options = options_of(policy, 3, share);
        const std::string awake = folder.file("awake" + std::to_string(run++));
        MPI_Barrier(MPI_COMM_WORLD);
        if (const int solver = index_in(roles.solvers, world_rank()); solver >= 0) {
          StreamProducer producer(MPI_COMM_WORLD, roles, g, options);
          const OwnedTiles tiles(g, solver, 0);
          for (int s = 0; s < 40; ++s) producer.push(info_of(s), tiles.pointers);
          EXPECT_EQ(producer.stalls().room, 0);
          EXPECT_EQ(producer.ledger().delivered, 0);
          EXPECT_EQ(producer.ledger().dropped, 40 - 3);
          EXPECT_EQ(producer.sharing_learners(), share ? static_cast<int>(roles.learners.size()) : 0);
          std::ofstream(awake + "." + std::to_string(solver)) << "x";
          producer.finish();
        } else {
          StreamConsumer consumer(MPI_COMM_WORLD, roles, g, options);
          for (std::size_t k = 0; k < roles.solvers.size(); ++k)
            while (!std::filesystem::exists(awake + "." + std::to_string(k)))
              std::this_thread::sleep_for(std::chrono::milliseconds(1));
          EXPECT_EQ(consumer.buffer_bytes() == 0, share);
          while (consumer.wait()) {
          }
          const Ledger ledger = consumer.finish();
          EXPECT_EQ(ledger.delivered, 3);
          EXPECT_EQ(ledger.dropped, 37);
        }
        MPI_Barrier(MPI_COMM_WORLD);
      }
}

// A run in two parts: numbers go on, and so do the counts, on both sides.
TEST(ParallelStream, GoesOnFromTheLedgerOfAnEarlierPart) {
  for (const StreamRoles& roles : splits()) {
    const Tiling g(4, 2, static_cast<int>(roles.solvers.size()));
    Ledger carried;
    std::vector<std::int64_t> taken;
    for (const int first : {0, 7}) {
      StreamOptions options = options_of(WhenFull::block);
      options.first_sample = first;
      options.carried = carried;
      if (const int solver = index_in(roles.solvers, world_rank()); solver >= 0) {
        StreamProducer producer(MPI_COMM_WORLD, roles, g, options);
        if (first > 0) {
          EXPECT_THROW(producer.push(info_of(first - 1), OwnedTiles(g, solver, first).pointers), RunError);
        }
        for (int s = first; s < first + 7; ++s) producer.push(info_of(s), OwnedTiles(g, solver, s).pointers);
        producer.drain();
        const Ledger totals = producer.totals();
        carried = producer.finish();
        EXPECT_EQ(totals, carried);
      } else {
        StreamConsumer consumer(MPI_COMM_WORLD, roles, g, options);
        while (const auto sample = consumer.wait()) taken.push_back(sample->info.number);
        carried = consumer.finish();
      }
      MPI_Barrier(MPI_COMM_WORLD);
    }
    EXPECT_EQ(carried.produced, 14);
    EXPECT_EQ(carried.delivered, 14);
    EXPECT_EQ(carried.in_flight, 0);
    const FrameImage frame({g, 0, "test"});
    EXPECT_GT(carried.bytes, 14 * static_cast<std::int64_t>(frame.bytes().size() / 2));
    if (const int learner = index_in(roles.learners, world_rank()); learner >= 0) {
      std::vector<std::int64_t> due;
      for (int s = learner; s < 14; s += static_cast<int>(roles.learners.size())) due.push_back(s);
      EXPECT_EQ(taken, due);
    }
    StreamOptions open = options_of(WhenFull::block);
    open.carried.produced = 1;
    EXPECT_THROW(check(open), InputError);
  }
}

TEST(ParallelStream, FramesWithNaNAreRejectedAndNamed) {
  for (const StreamRoles& roles : splits()) {
    const Tiling g(4, 2, static_cast<int>(roles.solvers.size()));
    const StreamOptions options = options_of(WhenFull::block);
    if (const int solver = index_in(roles.solvers, world_rank()); solver >= 0) {
      StreamProducer producer(MPI_COMM_WORLD, roles, g, options);
      for (int s = 0; s < 4; ++s) {
        OwnedTiles tiles(g, solver, s);
        if (s == 2 && world_rank() == roles.solvers.back()) tiles.fields[6].back() = std::nanf("");
        producer.push(info_of(s), tiles.pointers);
      }
      EXPECT_EQ(producer.finish().rejected, 1);
    } else {
      StreamConsumer consumer(MPI_COMM_WORLD, roles, g, options);
      while (const auto sample = consumer.wait()) EXPECT_NE(sample->info.number, 2);
      if (2 % roles.learners.size() == static_cast<std::size_t>(index_in(roles.learners, world_rank()))) {
        EXPECT_NE(consumer.last_rejection().find("not finite in u_x_tendency (values)"), std::string::npos)
            << consumer.last_rejection();
      }
      EXPECT_EQ(consumer.finish().delivered, 3);
    }
    MPI_Barrier(MPI_COMM_WORLD);
  }
}

TEST(SharedMemory, ComesByItsNameUntilThatIsTakenAway) {
  std::string why;
  const auto memory = SharedMemory::create(10000, 10000, why);
  ASSERT_NE(memory, nullptr) << why;
  memory->data()[9999] = std::byte{42};
  const auto other = SharedMemory::attach(memory->name(), 10000);
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(other->data()[9999], std::byte{42});
  EXPECT_EQ(SharedMemory::attach(memory->name(), 9999), nullptr);
  memory->unlink();
  EXPECT_EQ(SharedMemory::attach(memory->name(), 10000), nullptr);
  memory->data()[0] = std::byte{7};
  EXPECT_EQ(other->data()[0], std::byte{7});
  // More than any machine has: told, not met later.
  EXPECT_EQ(SharedMemory::create(std::size_t{1} << 50, std::size_t{1} << 50, why), nullptr);
  EXPECT_FALSE(why.empty());
}

TEST(ParallelStream, BadFramesAreRejectedAndCounted) {
  for (const bool share : {true, false})
    for (const StreamRoles& roles : splits()) {
      StreamOptions options = options_of(WhenFull::block, 3, share);
      const int last = roles.solvers.back();
      // One solver rank spoils the middle (2), the end (4), the signature (6) and the length (8).
      options.tamper = [last](std::int64_t sample, std::span<std::byte> frame) {
        if (world_rank() == last && sample == 2) frame[frame.size() / 2] ^= std::byte{1};
        if (world_rank() == last && sample == 4) frame[frame.size() - 1] ^= std::byte{128};
        if (world_rank() == last && sample == 6) frame[3] ^= std::byte{4};
        return frame.size() - (world_rank() == last && sample == 8 ? 100 : 0);
      };
      const StreamResult out = run_stream(roles, options, 13);
      EXPECT_EQ(out.totals.produced, 13);
      EXPECT_EQ(out.totals.rejected, 4);
      EXPECT_EQ(out.totals.delivered, 9);
      EXPECT_EQ(out.totals.dropped, 0);
      if (index_in(roles.learners, world_rank()) == 0) {
        for (const std::int64_t bad : {2, 4, 6, 8}) EXPECT_EQ(std::ranges::count(out.taken, bad), 0);
        EXPECT_NE(out.rejection.find("(length)"), std::string::npos) << out.rejection;
      }
    }
}

TEST(ParallelStream, LearnerThatLeavesEarlyStillCloses) {
  for (const StreamRoles& roles : splits()) {
    const Tiling g(4, 2, static_cast<int>(roles.solvers.size()));
    const StreamOptions options = options_of(WhenFull::block, 2);
    Ledger totals;
    if (const int solver = index_in(roles.solvers, world_rank()); solver >= 0) {
      StreamProducer producer(MPI_COMM_WORLD, roles, g, options);
      for (int s = 0; s < 9; ++s) producer.push(info_of(s), OwnedTiles(g, solver, s).pointers);
      producer.drain();
      EXPECT_EQ(producer.ledger().in_flight, 0);
      totals = producer.finish();
      EXPECT_EQ(totals.dropped, 9 - static_cast<std::int64_t>(roles.learners.size()));
    } else {
      StreamConsumer consumer(MPI_COMM_WORLD, roles, g, options);
      EXPECT_TRUE(consumer.wait().has_value());
      totals = consumer.finish();
    }
    EXPECT_EQ(totals.delivered, static_cast<std::int64_t>(roles.learners.size()));
    MPI_Barrier(MPI_COMM_WORLD);
  }
}

TEST(ParallelStream, SilentLearnerMeetsTheDeadline) {
  const StreamRoles roles = splits().front();
  const Tiling g(4, 2, static_cast<int>(roles.solvers.size()));
  StreamOptions options = options_of(WhenFull::block, 2);
  options.deadline_seconds = 1;  // long enough to start on a busy machine
  MPI_Barrier(MPI_COMM_WORLD);
  if (const int solver = index_in(roles.solvers, world_rank()); solver >= 0) {
    StreamProducer producer(MPI_COMM_WORLD, roles, g, options);
    std::string message;
    try {
      for (int s = 7; s < 12; ++s) producer.push(info_of(s), OwnedTiles(g, solver, s).pointers);
    } catch (const RunError& error) {
      message = error.what();
    }
    EXPECT_NE(message.find("solver rank " + std::to_string(world_rank()) + " has waited"), std::string::npos)
        << message;
    EXPECT_NE(message.find("learner rank 1 to acknowledge sample 7"), std::string::npos) << message;
    EXPECT_THROW(producer.drain(), RunError);
    EXPECT_EQ(producer.ledger().in_flight, 2);
    MPI_Barrier(MPI_COMM_WORLD);
  } else {
    const StreamConsumer consumer(MPI_COMM_WORLD, roles, g, options);
    MPI_Barrier(MPI_COMM_WORLD);
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

TEST(ParallelStream, SilentSolverMeetsTheDeadline) {
  const StreamRoles roles = splits().front();
  const Tiling g(4, 2, static_cast<int>(roles.solvers.size()));
  const StreamOptions options = options_of(WhenFull::block);
  if (index_in(roles.solvers, world_rank()) >= 0) {
    StreamProducer producer(MPI_COMM_WORLD, roles, g, options);
    MPI_Barrier(MPI_COMM_WORLD);
    producer.finish();
  } else {
    StreamConsumer consumer(MPI_COMM_WORLD, roles, g, options);
    std::string message;
    try {
      consumer.wait(0.2);
    } catch (const RunError& error) {
      message = error.what();
    }
    EXPECT_NE(message.find("learner rank 1 has waited"), std::string::npos) << message;
    EXPECT_NE(message.find("frames of solver rank 0"), std::string::npos) << message;
    EXPECT_GT(consumer.idle_seconds(), 0.0);
    MPI_Barrier(MPI_COMM_WORLD);
    consumer.finish();  // a wait that failed has spoilt nothing
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

// Ranks that were given different run ids find out at once, not by rejecting frames.
TEST(ParallelStream, DifferentTemplatesAreFoundAtTheStart) {
  const StreamRoles roles = splits().front();
  const Tiling g(4, 2, static_cast<int>(roles.solvers.size()));
  StreamOptions options = options_of(WhenFull::block);
  if (index_in(roles.learners, world_rank()) >= 0) {
    options.run_id = "other";
    EXPECT_THROW(StreamConsumer(MPI_COMM_WORLD, roles, g, options), RunError);
  } else {
    EXPECT_THROW(StreamProducer(MPI_COMM_WORLD, roles, g, options), RunError);
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

TEST(ParallelStream, OverlappingRolesAreRefused) {
  const StreamOptions options;
  EXPECT_THROW(StreamProducer(MPI_COMM_WORLD, {{0, 1}, {1}}, Tiling(4, 2, 2), options), InputError);
  EXPECT_THROW(StreamProducer(MPI_COMM_WORLD, {{0}, {}}, Tiling(4, 2, 1), options), InputError);
  EXPECT_THROW(StreamProducer(MPI_COMM_WORLD, {{0}, {99}}, Tiling(4, 2, 1), options), InputError);
}

TEST(Stream, OptionsAreChecked) {
  EXPECT_EQ(parse_when_full("drop_oldest"), WhenFull::drop_oldest);
  EXPECT_THROW(parse_when_full("drop"), InputError);
  StreamOptions none, no_credit, no_time;
  none.queue = 0;
  no_credit.credits = 0;
  no_time.deadline_seconds = 0;
  for (const StreamOptions& bad : {none, no_credit, no_time}) EXPECT_THROW(check(bad), InputError);
}

TEST(Ledger, AMismatchIsAnError) {
  const Ledger producers{10, 7, 2, 0, 1, 800}, learners{8, 7, 0, 0, 1, 800};
  EXPECT_NO_THROW(check_closed(producers, learners));
  for (int k = 0; k < 7; ++k) {
    Ledger p = producers, l = learners;
    (k == 0   ? p.produced
     : k == 1 ? p.in_flight
     : k == 2 ? p.dropped
     : k == 3 ? l.delivered
     : k == 4 ? l.rejected
     : k == 5 ? l.bytes
              : p.bytes) += 1;
    EXPECT_THROW(check_closed(p, l), RunError) << k;
  }
}

}  // namespace
}  // namespace tramontane
