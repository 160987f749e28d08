// The training step on a GPU against the one on the host, and recorded as a graph against kernel by kernel. Needs a
// GPU.
#include <gtest/gtest.h>

#include "tests/ml/learner_fixture.hpp"

namespace tramontane {
namespace {

using testing::kCells;
using testing::learner_spec;
using testing::normaliser_of;
using testing::pointers;
using testing::relative_difference;
using testing::static_fields;
using testing::synthetic_samples;

constexpr int kBatch = 4;

struct Trained {
  std::vector<double> losses;
  OptimiserState state;
};

Trained train(const std::string& backend, int steps, bool graph, bool report_all = true) {
  TrainerOptions options;
  options.optimiser.learning_rate = 1e-3;
  options.optimiser.warmup_steps = 5;
  options.optimiser.total_steps = 100;
  options.backend.deterministic = true;
  options.graph = graph;
  options.micro_batch = 2;
  const std::vector<Sample> samples = synthetic_samples(2 * kBatch);
  Trainer trainer(learner_spec(), options, static_fields(), MPI_COMM_WORLD, backend);
  trainer.set_normaliser(normaliser_of(samples));
  Trained out;
  for (int step = 0; step < steps; ++step) {
    const bool report = report_all || step + 1 == steps;
    const StepReport done = trainer.step(pointers(samples, step % 2 * kBatch, kBatch), report);
    if (report) out.losses.push_back(done.loss);
  }
  out.state = trainer.state();
  return out;
}

// Gradients agree to single-precision round-off, and Adam divides small ones by their own size: after twenty steps of
// at most 1e-3 losses agree to a part in a thousand.
TEST(DeviceTraining, FollowsTheHost) {
  const Trained device = train("cudnn", 20, false), host = train("reference", 20, false);
  ASSERT_EQ(device.losses.size(), host.losses.size());
  EXPECT_NEAR(device.losses.front(), host.losses.front(), 1e-5 * host.losses.front());
  for (std::size_t k = 0; k < host.losses.size(); ++k)
    EXPECT_NEAR(device.losses[k], host.losses[k], 1e-3 * host.losses[k]) << k;
  EXPECT_LT(host.losses.back(), host.losses.front());
}

TEST(DeviceTraining, AGraphGivesTheSameBits) {
  const Trained graph = train("cudnn", 12, true), plain = train("cudnn", 12, false);
  EXPECT_EQ(graph.losses, plain.losses);
  EXPECT_EQ(graph.state, plain.state);
  const Trained unread = train("cudnn", 12, true, false);
  EXPECT_EQ(unread.state, plain.state);
}

TEST(DeviceTraining, IsReproducible) {
  EXPECT_EQ(train("cudnn", 8, true).state, train("cudnn", 8, true).state);
}

}  // namespace
}  // namespace tramontane
