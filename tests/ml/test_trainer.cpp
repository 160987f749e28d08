#include <gtest/gtest.h>

#include "kernels/errors.hpp"
#include "tests/ml/learner_fixture.hpp"

namespace tramontane {
namespace {

using testing::learner_spec;
using testing::pointers;
using testing::static_fields;
using testing::synthetic_samples;

TrainerOptions quick_options() {
  TrainerOptions options;
  options.optimiser.learning_rate = 1e-3;
  options.optimiser.warmup_steps = 10;
  options.optimiser.total_steps = 400;
  options.deadline_seconds = 60;
  return options;
}

TEST(Trainer, OverfitsATinyProblem) {
  const auto samples = synthetic_samples(4);
  Trainer trainer(learner_spec(32), quick_options(), static_fields(), MPI_COMM_SELF, "onednn");
  trainer.set_normaliser(testing::normaliser_of(samples));
  const auto batch = pointers(samples, 0, 4);
  const ValidationReport before = trainer.validate(batch);
  // An untrained network says zero.
  EXPECT_DOUBLE_EQ(before.loss, before.persistence);
  StepReport report;
  double first = 0;
  for (int k = 0; k < 400; ++k) {
    report = trainer.step(batch);
    if (k == 0) first = report.loss;
  }
  EXPECT_EQ(report.step, 400);
  EXPECT_NEAR(first, before.loss, 1e-6 * first);
  EXPECT_LT(report.loss, 0.1 * first);
  const ValidationReport after = trainer.validate(batch);
  EXPECT_LT(after.loss, 0.2 * after.persistence);  // averaged weights lag behind
  EXPECT_EQ(after.samples, 4);
  double mean = 0;
  for (double v : after.per_variable) mean += v / 4;
  EXPECT_DOUBLE_EQ(mean, after.loss);
  std::vector<std::string> names;
  for (const TaskTime& task : report.tasks) names.push_back(task.name);
  EXPECT_EQ(names, (std::vector<std::string>{"stage", "schedule", "weights", "gather", "forward", "loss", "backward",
                                             "reduce", "clip", "update"}));
}

TEST(Trainer, LossIsTheAreaWeightedMeanByHand) {
  const auto samples = synthetic_samples(1);
  const StaticFields fields = static_fields();
  Trainer trainer(learner_spec(), quick_options(), fields, MPI_COMM_SELF, "reference");
  const Normaliser n = testing::normaliser_of(samples);
  trainer.set_normaliser(n);
  double total = 0, loss = 0;
  for (double a : fields.area) total += a;
  for (int v = 0; v < 4; ++v)
    for (std::size_t c = 0; c < fields.area.size(); ++c) {
      const double t = samples[0].target[v * fields.area.size() + c] / n.target_std[v];
      loss += 0.25 * fields.area[c] / total * t * t;
    }
  // Targets are normalised in single precision: 1e-6.
  EXPECT_NEAR(trainer.step(pointers(samples, 0, 1)).loss, loss, 1e-6 * loss);
}

TEST(Trainer, MicroBatchesChangeOnlyRoundOff) {
  const auto samples = synthetic_samples(5);
  std::vector<std::vector<float>> weights;
  for (int micro : {1, 2, 5}) {  // 2: the last pass is incomplete
    TrainerOptions options = quick_options();
    options.micro_batch = micro;
    Trainer trainer(learner_spec(), options, static_fields(), MPI_COMM_SELF, "onednn");
    trainer.set_normaliser(testing::normaliser_of(samples));
    for (int k = 0; k < 3; ++k) trainer.step(pointers(samples, 0, 5));
    weights.push_back(trainer.state().parameters);
  }
  // Adam divides by the gradient's own size, so round-off of 1e-6 in small gradients shows as up to 1e-3 of a step.
  EXPECT_LT(testing::relative_difference(weights[1], weights[0]), 1e-4);
  EXPECT_LT(testing::relative_difference(weights[2], weights[0]), 1e-4);
}

TEST(Trainer, RestoredTrainerContinuesBitForBit) {
  const auto samples = synthetic_samples(2);
  auto make = [&] {
    auto trainer = std::make_unique<Trainer>(learner_spec(), quick_options(), static_fields(), MPI_COMM_SELF, "onednn");
    trainer->set_normaliser(testing::normaliser_of(samples));
    return trainer;
  };
  auto a = make(), b = make();
  for (int k = 0; k < 3; ++k) a->step(pointers(samples, 0, 2));
  b->restore(a->state());
  for (int k = 0; k < 2; ++k) {
    a->step(pointers(samples, 0, 2));
    b->step(pointers(samples, 0, 2));
  }
  EXPECT_EQ(a->state(), b->state());
}

template <class Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const RunError& error) {
    return error.what();
  }
  return "";
}

TEST(Trainer, NamesWhatIsNotFinite) {
  for (const char* backend : {"reference", "onednn"}) {
    auto samples = synthetic_samples(2);
    Trainer trainer(learner_spec(), quick_options(), static_fields(), MPI_COMM_SELF, backend);
    trainer.set_normaliser(testing::normaliser_of(samples));
    trainer.step(pointers(samples, 0, 2));
    OptimiserState good = trainer.state();
    samples[1].input[17] = INFINITY;
    const std::string sample = message_of([&] { trainer.step(pointers(samples, 0, 2)); });
    EXPECT_NE(sample.find("step 2"), std::string::npos) << sample;
    EXPECT_NE(sample.find("input 0 of sample 1"), std::string::npos) << sample;
    EXPECT_EQ(trainer.state(), good);  // untouched by the step that failed
    samples = synthetic_samples(2);
    OptimiserState bad = good;
    bad.parameters[bad.parameters.size() - 10] = NAN;  // a weight of the output layer
    trainer.restore(bad);
    const std::string layer = message_of([&] { trainer.step(pointers(samples, 0, 2)); });
    EXPECT_NE(layer.find("output"), std::string::npos) << layer;
    bad = good;
    bad.parameters[0] = NAN;
    trainer.restore(bad);
    EXPECT_NE(message_of([&] { trainer.step(pointers(samples, 0, 2)); }), "");
  }
}

TEST(Trainer, AStepWithoutReportFailsAtTheNextReport) {
  auto samples = synthetic_samples(2);
  Trainer trainer(learner_spec(), quick_options(), static_fields(), MPI_COMM_SELF, "onednn");
  trainer.set_normaliser(testing::normaliser_of(samples));
  EXPECT_TRUE(std::isnan(trainer.step(pointers(samples, 0, 2), false).loss));
  const OptimiserState good = trainer.state();
  const auto fine = samples;
  samples[0].target[5] = INFINITY;
  trainer.step(pointers(samples, 0, 2), false);
  EXPECT_NE(message_of([&] { trainer.state(); }).find("step 2"), std::string::npos);
  trainer.step(pointers(fine, 0, 2), false);
  const std::string message = message_of([&] { trainer.step(pointers(fine, 0, 2)); });
  EXPECT_NE(message.find("step 2"), std::string::npos) << message;
  EXPECT_EQ(trainer.state(), good);
  EXPECT_EQ(trainer.step(pointers(fine, 0, 2)).step, 2);
}

// The kernel's output gradient against central differences of its own loss, in double; the loss is a polynomial of
// second degree, so differences are exact but for round-off, 1e-16 of a loss of order ten over a step of 1e-3.
TEST(Trainer, LossGradientIsTheDifferenceOfTheLoss) {
  for (const bool frames : {false, true}) {
    StaticFields statics = static_fields();
    if (frames) statics.axes = testing::noise<float>(6 * (testing::kCells + 2) * (testing::kCells + 2) * 6, 77);
    BatchLayout layout(Tiling(testing::kCells, 2, 1), statics, 5, 4);
    const auto samples = synthetic_samples(2);
    layout.set_normaliser(testing::normaliser_of(samples));
    layout.stage(pointers(samples, 0, 2));
    const int stride = 16, cells = layout.cells();
    std::vector<double> y = testing::noise<double>(2 * cells * stride, 4), gradient(3 * cells * stride, 1.0);
    auto loss = [&] {
      const double* e = layout.errors(0, 2, 1, stride, y.data()).data();
      return 0.5 * (e[0] + e[1]);
    };
    layout.errors(0, 2, 1, stride, y.data(), 0.5, 3, gradient.data());
    for (int sample = 0; sample < 2; ++sample)
      for (int cell : {0, 77, cells - 1})
        for (int v = 0; v < 4; ++v) {
          const std::size_t at = static_cast<std::size_t>(sample * cells + cell) * stride + v;
          const double old = y[at], h = 1e-3;
          y[at] = old + h;
          const double up = loss();
          y[at] = old - h;
          const double down = loss();
          y[at] = old;
          EXPECT_NEAR(gradient[at], (up - down) / (2 * h), 1e-11) << frames << " " << cell << " " << v;
          EXPECT_EQ(gradient[at] == 0, frames && v == 3);
        }
    // A third sample that the batch lacks has no gradient.
    for (int v = 0; v < 4; ++v) EXPECT_EQ(gradient[2 * cells * stride + v], 0);
  }
}

TEST(Trainer, ImpossibleSetUpsAreInputErrors) {
  NetworkSpec spec = learner_spec();
  spec.inputs = 5;
  EXPECT_THROW(Trainer(spec, quick_options(), static_fields(), MPI_COMM_SELF, "onednn"), InputError);
  EXPECT_THROW(Trainer(learner_spec(), quick_options(), static_fields(4), MPI_COMM_SELF, "onednn"), InputError);
  EXPECT_THROW(Trainer(learner_spec(), quick_options(), static_fields(), MPI_COMM_SELF, "tpu"), InputError);
  Trainer trainer(learner_spec(), quick_options(), static_fields(), MPI_COMM_SELF, "stub");
  const auto samples = synthetic_samples(1);
  EXPECT_THROW(trainer.step(pointers(samples, 0, 1)), RunError);  // no normaliser yet
}

/// Weights after `steps` steps on the same global batches of six samples, dealt to the ranks of `learners` in a way
/// that `shift` changes.
OptimiserState after_steps(MPI_Comm learners, int steps, int shift, std::size_t bucket_bytes, StepReport& report) {
  int rank = 0, size = 1;
  MPI_Comm_rank(learners, &rank);
  MPI_Comm_size(learners, &size);
  const auto samples = synthetic_samples(9);
  TrainerOptions options = quick_options();
  options.bucket_bytes = bucket_bytes;
  Trainer trainer(learner_spec(), options, static_fields(), learners, "onednn");
  trainer.set_normaliser(testing::normaliser_of(samples));
  for (int k = 0; k < steps; ++k) {
    std::vector<const Sample*> mine;
    for (int j = 0; j < 6 / size; ++j)
      mine.push_back(&samples[(k + (rank * (6 / size) + j + shift) % 6) % samples.size()]);
    report = trainer.step(mine, k + 1 == steps);
  }
  return trainer.state();
}

// Sums of integers do not depend on their order: nothing may differ, loss and norm included.
TEST(ParallelTrainer, SameBitsHoweverTheBatchIsDealt) {
  StepReport a, b;
  const OptimiserState alone = after_steps(MPI_COMM_SELF, 100, 0, 1 << 20, a);
  const OptimiserState together = after_steps(MPI_COMM_WORLD, 100, 5, 4096, b);
  EXPECT_EQ(alone, together);
  EXPECT_EQ(alone.step, 100);
  EXPECT_EQ(a.loss, b.loss);
  EXPECT_EQ(a.gradient_norm, b.gradient_norm);
}

TEST(ParallelTrainer, ValidatesUnequalShares) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const auto samples = synthetic_samples(6);
  Trainer together(learner_spec(), quick_options(), static_fields(), MPI_COMM_WORLD, "onednn");
  Trainer alone(learner_spec(), quick_options(), static_fields(), MPI_COMM_SELF, "onednn");
  std::vector<const Sample*> all = pointers(samples, 0, 2);
  for (int k = 1; k < size; ++k) all.push_back(&samples[1]);
  for (Trainer* t : {&together, &alone}) t->set_normaliser(testing::normaliser_of(samples));
  const ValidationReport v = together.validate(pointers(samples, rank == 0 ? 0 : 1, rank == 0 ? 2 : 1));
  const ValidationReport w = alone.validate(all);
  EXPECT_EQ(v.samples, size + 1);
  EXPECT_NEAR(v.loss, w.loss, 1e-14 * w.loss);  // sums in double, in another order
}

TEST(ParallelTrainer, EveryRankHearsOfABadSampleOnOne) {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  auto samples = synthetic_samples(1);
  Trainer trainer(learner_spec(), quick_options(), static_fields(), MPI_COMM_WORLD, "onednn");
  trainer.set_normaliser(testing::normaliser_of(samples));
  trainer.step(pointers(samples, 0, 1));
  const OptimiserState good = trainer.state();
  const auto fine = samples;
  for (const bool short_one : {false, true}) {
    samples = fine;
    if (rank == 0 && short_one) samples[0].target.resize(samples[0].target.size() - 1);
    if (rank == 0 && !short_one) samples[0].target[3] = NAN;
    const std::string message = message_of([&] { trainer.step(pointers(samples, 0, 1)); });
    EXPECT_NE(message.find("step 2"), std::string::npos) << message;
    EXPECT_NE(message.find(rank == 0 ? "sample 0" : "another learner rank"), std::string::npos) << message;
    EXPECT_EQ(trainer.state(), good);
  }
}

}  // namespace
}  // namespace tramontane
