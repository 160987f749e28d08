// Frames that a device writes while the solver goes on; the device is played, or is one.
#include <gtest/gtest.h>

#include <cmath>

#include "physics/cases/williamson2.hpp"
#include "src/coupled/sample_tiles.hpp"
#include "src/stream/frame_path.hpp"
#include "stream_fixtures.hpp"

namespace tramontane {
namespace {

using test::index_in;
using test::info_of;
using test::options_of;
using test::OwnedTiles;
using test::splits;
using test::world_rank;

/// Numbers that are there at the look after so many, and not a moment before: until then the frame holds NaN.
class LatePayload : public DevicePayload {
 public:
  LatePayload(const Tiling& g, int solver, std::int64_t sample, int looks)
      : tiles_(g, solver, sample), looks_(looks) {}
  void start(std::span<float* const> places) override {
    EXPECT_EQ(places.size(), tiles_.fields.size());
    places_.assign(places.begin(), places.end());
    for (std::size_t v = 0; v < places_.size(); ++v)
      std::fill_n(places_[v], tiles_.fields[v].size(), std::nanf(""));
  }
  bool is_there() override {
    if (looks_-- > 0) return false;
    for (std::size_t v = 0; v < places_.size(); ++v) std::ranges::copy(tiles_.fields[v], places_[v]);
    return true;
  }

 private:
  OwnedTiles tiles_;
  int looks_;
  std::vector<float*> places_;
};

/// One that never comes, or fails at once.
struct BadPayload : DevicePayload {
  bool fails = false;
  void start(std::span<float* const>) override {}
  bool is_there() override {
    if (fails) throw RunError("the device fell off the bus");
    return false;
  }
};

// A frame is the same, byte for byte, whoever has written its numbers.
TEST(DevicePayload, SealedFrameIsThePatchedOne) {
  const FrameLayout layout{Tiling(12, 3, 5), 2, "run"};
  const OwnedTiles tiles(layout.tiling, layout.rank, 4);
  const FrameHeader header{info_of(4), 9};
  FrameImage patched(layout), sealed(layout);
  patched.patch(header, tiles.pointers);
  const std::vector<float*> places = sealed.payload();
  for (std::size_t v = 0; v < places.size(); ++v) std::ranges::copy(tiles.fields[v], places[v]);
  sealed.seal(header);
  EXPECT_TRUE(std::ranges::equal(patched.bytes(), sealed.bytes()));
}

TEST(ParallelDevicePayload, SamplesArriveWholeHoweverLate) {
  for (const StreamRoles& roles : splits())
    for (const int queue : {1, 2, 5, -2})  // negative: by messages alone
      for (const int looks : {0, 1, 4}) {
        const int samples = 9;
        const Tiling g(4, 2, static_cast<int>(roles.solvers.size()));
        const StreamOptions options = options_of(WhenFull::block, std::abs(queue), queue > 0);
        if (const int solver = index_in(roles.solvers, world_rank()); solver >= 0) {
          StreamProducer producer(MPI_COMM_WORLD, roles, g, options);
          for (int s = 0; s < samples; ++s) {
            // The ranks' devices are not equally quick, and a sample from the host comes between.
            if (s == 4)
              EXPECT_TRUE(producer.push(info_of(s), OwnedTiles(g, solver, s).pointers));
            else
              EXPECT_TRUE(producer.push(info_of(s), std::make_shared<LatePayload>(g, solver, s, looks + solver)));
            EXPECT_TRUE(producer.ledger().closed());
            if (s % 3 == 0) producer.progress();
          }
          EXPECT_EQ(producer.finish().delivered, samples);
        } else {
          StreamConsumer consumer(MPI_COMM_WORLD, roles, g, options);
          const std::vector<std::int64_t> taken = test::take_all(consumer, g);
          std::vector<std::int64_t> due;
          const int learner = index_in(roles.learners, world_rank());
          for (int s = learner; s < samples; s += static_cast<int>(roles.learners.size())) due.push_back(s);
          EXPECT_EQ(taken, due);
          EXPECT_EQ(consumer.finish().rejected, 0);
        }
        MPI_Barrier(MPI_COMM_WORLD);
      }
}

// What is kept under a learner that sleeps is what it would be without a device.
TEST(ParallelDevicePayload, PoliciesKeepTheRightSamples) {
  for (const StreamRoles& roles : splits()) {
    if (roles.learners.size() != 1) continue;
    for (const WhenFull policy : {WhenFull::drop_oldest, WhenFull::drop_newest}) {
      const Tiling g(4, 2, static_cast<int>(roles.solvers.size()));
      const StreamOptions options = options_of(policy, 4);  // of which 2 go out at once
      if (const int solver = index_in(roles.solvers, world_rank()); solver >= 0) {
        StreamProducer producer(MPI_COMM_WORLD, roles, g, options);
        for (int s = 0; s < 10; ++s) producer.push(info_of(s), std::make_shared<LatePayload>(g, solver, s, 2));
        EXPECT_EQ(producer.ledger().dropped, 6);
        MPI_Barrier(MPI_COMM_WORLD);
        producer.finish();
      } else {
        StreamConsumer consumer(MPI_COMM_WORLD, roles, g, options);
        MPI_Barrier(MPI_COMM_WORLD);
        const std::vector<std::int64_t> taken = test::take_all(consumer, g);
        consumer.finish();
        EXPECT_EQ(taken, policy == WhenFull::drop_oldest ? (std::vector<std::int64_t>{0, 1, 8, 9})
                                                         : (std::vector<std::int64_t>{0, 1, 2, 3}));
      }
      MPI_Barrier(MPI_COMM_WORLD);
    }
  }
}

// A device that hangs or fails ends the run with its name; nobody waits past the deadline.
TEST(ParallelDevicePayload, ADeviceThatDoesNotDeliverIsNamed) {
  const StreamRoles roles = splits().front();
  const Tiling g(4, 2, static_cast<int>(roles.solvers.size()));
  StreamOptions options = options_of(WhenFull::block, 2);
  options.deadline_seconds = 1;  // long enough to start on a busy machine
  for (const bool fails : {false, true}) {
    MPI_Barrier(MPI_COMM_WORLD);
    if (index_in(roles.solvers, world_rank()) >= 0) {
      StreamProducer producer(MPI_COMM_WORLD, roles, g, options);
      std::string message;
      const auto payload = std::make_shared<BadPayload>();
      payload->fails = fails;
      try {
        producer.push(info_of(0), payload);
        producer.push(info_of(1), payload);
      } catch (const RunError& error) {
        message = error.what();
      }
      EXPECT_NE(message.find(fails ? "fell off the bus" : "the device to write sample 0 into its frame"),
                std::string::npos)
          << message;
      MPI_Barrier(MPI_COMM_WORLD);
    } else {
      const StreamConsumer consumer(MPI_COMM_WORLD, roles, g, options);
      MPI_Barrier(MPI_COMM_WORLD);
    }
    MPI_Barrier(MPI_COMM_WORLD);
  }
}

// The learner is given up while a device still writes: the frame's memory is free again, and the counts close.
TEST(ParallelDevicePayload, AbandonedStreamsWaitForTheDeviceAlone) {
  const StreamRoles roles = splits().front();
  const Tiling g(4, 2, static_cast<int>(roles.solvers.size()));
  const StreamOptions options = options_of(WhenFull::block, 3);
  if (const int solver = index_in(roles.solvers, world_rank()); solver >= 0) {
    StreamProducer producer(MPI_COMM_WORLD, roles, g, options);
    const auto payload = std::make_shared<LatePayload>(g, solver, 0, 5);
    producer.push(info_of(0), payload);
    EXPECT_EQ(payload.use_count(), 2);
    producer.abandon();
    EXPECT_EQ(payload.use_count(), 1);
    EXPECT_FALSE(producer.push(info_of(1), payload));
    const Ledger ledger = producer.finish();
    EXPECT_TRUE(ledger.closed());
    EXPECT_EQ(ledger.lost, 2);
    MPI_Barrier(MPI_COMM_WORLD);
  } else {
    const StreamConsumer consumer(MPI_COMM_WORLD, roles, g, options);
    MPI_Barrier(MPI_COMM_WORLD);
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

TEST(DeviceCopy, ReadsWhatKernelsWroteBeforeAndNotAfter) {
  constexpr int kCount = 100000;
  View<float*> numbers("numbers", kCount);
  const auto write = [&](float value) { Kokkos::deep_copy(ExecutionSpace(), numbers, value); };
  std::vector<float> first(kCount), second(kCount);
  DeviceCopy copy;
  EXPECT_TRUE(copy.is_done());  // nothing is on the way
  for (int round = 0; round < 3; ++round) {
    write(1.0f + round);
    copy.start(first.data(), numbers.data(), kCount / 2 * sizeof(float));
    copy.start(first.data() + kCount / 2, numbers.data() + kCount / 2, kCount / 2 * sizeof(float));
    copy.hold_kernels();
    write(-1.0f);
    copy.wait("a test's copy", 60);
    EXPECT_TRUE(copy.is_done());
    EXPECT_EQ(first, std::vector<float>(kCount, 1.0f + round));
    copy.start(second.data(), numbers.data(), kCount * sizeof(float));
    copy.wait("a test's copy", 60);
    EXPECT_EQ(second, std::vector<float>(kCount, -1.0f));
  }
}

TEST(SampleTiles, GivesTheSameNumbersOnEveryWay) {
  const auto grid = std::make_shared<const Grid>(Tiling(12, 2, 1), 0);
  const AnalyticCase flow = williamson2(0.4);
  ShallowWaterOptions options;
  options.reference = kGravity * flow.reference_height;
  const ShallowWater solver(grid, MPI_COMM_SELF, cell_means(*grid, flow.orography), options);
  const auto state = [&](double time) {
    AnalyticCase one = flow;
    one.state = [=](Vector3 r, double t) {
      PointState s = flow.state(r, t);
      s.depth *= 1.0 + 1e-4 * time;
      return s;
    };
    const State made = solver.make_state("state");
    set_state(solver, one, made);
    return made;
  };
  const State begin = state(1), end = state(2), truth = state(3);
  SampleTiles sample(solver, 60);
  const std::size_t cells = grid->tiling().cell_count(), variables = FrameLayout::variable_count();
  std::vector<float> expected;
  for (int round = 0; round < 2; ++round) {
    sample.begin(info_of(round), round == 0 ? begin : truth);
    sample.finish(end, round == 0 ? truth : begin, 3600);
    EXPECT_EQ(sample.info.number, round);

    std::vector<float> there(variables * cells, std::nanf(""));
    std::vector<float*> places;
    for (std::size_t v = 0; v < variables; ++v) places.push_back(there.data() + v * cells);
    sample.start(places);
    for (int looks = 0; !sample.is_there(); ++looks) ASSERT_LT(looks, 1 << 30);

    sample.finish(end, round == 0 ? truth : begin, 3600);
    EXPECT_EQ(sample.lock_buffer().empty() || !kHostReadsKernelMemory, true);
    std::vector<float> buffered;
    for (const float* variable : sample.on_host()) buffered.insert(buffered.end(), variable, variable + cells);
    EXPECT_EQ(there, buffered);
    EXPECT_NE(there, expected);  // not the sample before
    expected = there;
  }
  EXPECT_TRUE(std::ranges::all_of(expected, [](float x) { return std::isfinite(x); }));
}

TEST(FramePath, IsTheBestThatWasFound) {
  const std::string no = "operation not supported";
  const struct {
    FramePathFacts facts;
    const char* path;
    const char* words;
  } cases[] = {
      {{true, true, false}, "host", "host memory, where kernels work"},
      {{true, false, true}, "host", "nothing is copied"},
      {{false, true, false}, "slot", "page-locked queue, while the solver goes on"},
      {{false, true, true}, "staged", "page-locked buffer (the archive needs"},
      {{false, false, true}, "staged", "page-locked buffer (the archive needs"},
      {{false, true, false, no}, "staged", "(the queue is not page-locked: operation not supported)"},
      {{false, true, false, no, no}, "pageable", "ordinary memory, slowly (the queue is not page-locked: operation not "
                                                 "supported; its buffer is not page-locked: operation not supported)"},
      {{false, true, true, "", no}, "pageable", "its buffer is not page-locked: operation not supported"},
  };
  for (const auto& one : cases) {
    EXPECT_STREQ(name(choose_frame_path(one.facts)), one.path);
    EXPECT_NE(frame_path_text(one.facts).find(one.words), std::string::npos) << frame_path_text(one.facts);
  }
  // On this machine.
  const FramePathFacts found = try_frame_path(true, false);
  EXPECT_EQ(found.host_reads, kHostReadsKernelMemory);
  EXPECT_EQ(choose_frame_path(found) == FramePath::host, kHostReadsKernelMemory);
}

TEST(PageLock, SaysWhyNot) {
  std::vector<float> memory(10000);
  const PageLock lock(memory.data(), memory.size() * sizeof(float));
  EXPECT_EQ(lock.holds(), lock.why_not().empty());
  if (kHostReadsKernelMemory) {
    EXPECT_FALSE(lock.holds());
  }
}

}  // namespace
}  // namespace tramontane
