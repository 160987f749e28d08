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
  EXPECT_EQ(names, (std::vector<std::string>{"gather", "forward", "loss", "backward", "reduce", "clip", "update"}));
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

TEST(ParallelTrainer, SharedBatchEqualsTheWholeOnOneRank) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const auto samples = synthetic_samples(6);
  const std::size_t share = 6 / size;
  TrainerOptions options = quick_options();
  options.optimiser.epsilon = 1e-2;  // so that a step is proportional to its gradient, and round-off stays round-off
  Trainer together(learner_spec(), options, static_fields(), MPI_COMM_WORLD, "onednn");
  Trainer alone(learner_spec(), options, static_fields(), MPI_COMM_SELF, "onednn");
  for (Trainer* t : {&together, &alone}) t->set_normaliser(testing::normaliser_of(samples));
  for (int k = 0; k < 3; ++k) {
    const StepReport a = together.step(pointers(samples, rank * share, share));
    const StepReport b = alone.step(pointers(samples, 0, 6));
    EXPECT_NEAR(a.loss, b.loss, 1e-6 * b.loss);
    EXPECT_NEAR(a.gradient_norm, b.gradient_norm, 1e-6 * b.gradient_norm);
  }
  EXPECT_LT(testing::relative_difference(together.state().parameters, alone.state().parameters), 1e-6);
  // Validation: unequal shares, rank 0 holds one sample more.
  const ValidationReport v = together.validate(pointers(samples, rank == 0 ? 0 : 1, rank == 0 ? 2 : 1));
  EXPECT_EQ(v.samples, size + 1);
  // All ranks hold the same weights, to the bit.
  std::vector<float> first = together.state().parameters;
  MPI_Bcast(first.data(), static_cast<int>(first.size()), MPI_FLOAT, 0, MPI_COMM_WORLD);
  EXPECT_EQ(first, together.state().parameters);
}

TEST(ParallelTrainer, EveryRankHearsOfABadSampleOnOne) {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  auto samples = synthetic_samples(1);
  Trainer trainer(learner_spec(), quick_options(), static_fields(), MPI_COMM_WORLD, "onednn");
  trainer.set_normaliser(testing::normaliser_of(samples));
  if (rank == 0) samples[0].target[3] = NAN;
  EXPECT_THROW(trainer.step(pointers(samples, 0, 1)), RunError);
}

}  // namespace
}  // namespace tramontane
