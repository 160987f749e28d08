// The coupled job end to end, and what can be made again from the files it leaves.
#include <gtest/gtest.h>

#include <cmath>

#include "job.hpp"
#include "kernels/device_copy.hpp"
#include "ml/model.hpp"
#include "src/archive/archive_reader.hpp"
#include "tests/precision.hpp"

namespace tramontane::testing {
namespace {

using nlohmann::json;

constexpr int kLessonSamples = 24, kSamples = 4 * kLessonSamples;  // of small_deck()
constexpr int kLeads = 5, kStarts = 2;

/// Tests of the one small run, which must have ended well.
class SmallRunTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(small_run().job.code, 0) << small_run().job.err; }
};
class CoupledRun : public SmallRunTest {};
class FromItsFiles : public SmallRunTest {};

void expect_same_network(const Model& a, const Model& b) {
  EXPECT_TRUE(a.weights == b.weights) << "weights differ";
  EXPECT_TRUE(a.normaliser == b.normaliser) << "normalisers differ";
  EXPECT_TRUE(a.self_test_output == b.self_test_output) << "self-tests differ";
  EXPECT_EQ(a.network, b.network);
  EXPECT_EQ(a.training_step, b.training_step);
}

TEST_F(CoupledRun, LeavesItsFiles) {
  const std::string folder = small_run().folder;
  for (const char* name : {"summary.json", "metrics.jsonl", "deck.yaml", "model.h5", "model.onnx", "forecast.nc",
                           "archive.h5", "deliveries.csv"})
    EXPECT_TRUE(std::filesystem::is_regular_file(folder + "/" + name)) << name;
  // Nothing half-written, no parts.
  EXPECT_EQ(contents_of(folder).size(), 8u);
}

TEST_F(CoupledRun, SummaryHasEveryStableKey) {
  const json summary = small_run().summary();
  for (const char* key : {"/command",
                          "/version",
                          "/deck",
                          "/ranks/solver",
                          "/ranks/learner",
                          "/wall_seconds",
                          "/solver/n",
                          "/solver/cells",
                          "/solver/steps",
                          "/solver/dt_seconds",
                          "/solver/seconds",
                          "/solver/cell_updates_per_second",
                          "/solver/sypd",
                          "/solver/mass_drift",
                          "/solver/energy_drift",
                          "/solver/enstrophy_drift",
                          "/stream/produced",
                          "/stream/delivered",
                          "/stream/dropped",
                          "/stream/in_flight",
                          "/stream/rejected",
                          "/stream/bytes",
                          "/stream/producer_stall_seconds",
                          "/stream/learner_idle_seconds",
                          "/learner/parameters",
                          "/learner/steps",
                          "/learner/samples_seen",
                          "/learner/reuse_factor",
                          "/learner/samples_per_second",
                          "/learner/loss_first",
                          "/learner/loss_last",
                          "/learner/validation_loss",
                          "/learner/weights_version",
                          "/forecast/lead_hours",
                          "/forecast/starts",
                          "/forecast/rmse",
                          "/forecast/acc",
                          "/forecast/effective_resolution",
                          "/forecast/fallback_fraction",
                          "/forecast/cost_ratio",
                          "/energy/joules",
                          "/energy/source"})
    EXPECT_TRUE(summary.contains(json::json_pointer(key))) << key;
  EXPECT_EQ(summary["command"], "run");
  EXPECT_EQ(summary["ranks"]["solver"], 1);
  EXPECT_EQ(summary["ranks"]["learner"], 1);
  EXPECT_EQ(summary["solver"]["n"], 24);
  EXPECT_EQ(summary["solver"]["cells"], 6 * 24 * 24);
  // Round-off of the sums over a day; the bound is the project's own.
  EXPECT_LT(std::abs(summary["solver"]["mass_drift"].get<double>()), round_off(1e-13));
}

TEST_F(CoupledRun, LedgerClosesAndTheArchiveHoldsEverySample) {
  const json stream = small_run().summary()["stream"];
  EXPECT_EQ(stream["path"], kHostReadsKernelMemory ? "host" : "staged");  // it writes an archive
  EXPECT_EQ(stream["produced"], kSamples);
  EXPECT_EQ(stream["delivered"], kSamples);
  EXPECT_EQ(stream["dropped"], 0);
  EXPECT_EQ(stream["in_flight"], 0);
  EXPECT_EQ(stream["rejected"], 0);

  const ArchiveReader archive(small_run().archive);
  EXPECT_TRUE(archive.complete());
  EXPECT_EQ(archive.size(), kSamples);
  EXPECT_EQ(archive.n(), 12);
  EXPECT_EQ(archive.interval_seconds(), 3600);
  EXPECT_NO_THROW(archive.verify());
  int held_out = 0;
  for (std::int64_t k = 0; k < archive.size(); ++k) {
    EXPECT_EQ(archive.info(k).number, k);
    held_out += archive.info(k).validation;
    EXPECT_EQ(archive.info(k).validation == 1, archive.info(k).month == 199001) << k;
  }
  EXPECT_EQ(held_out, kLessonSamples);
}

TEST_F(CoupledRun, Learns) {
  const json learner = small_run().summary()["learner"];
  EXPECT_EQ(learner["steps"], 150);
  EXPECT_EQ(learner["samples_seen"], 150 * 8);
  EXPECT_DOUBLE_EQ(learner["reuse_factor"], 150.0 * 8 / (3 * kLessonSamples));
  const Model model = Model::load(small_run().folder + "/model.h5");
  EXPECT_EQ(learner["parameters"], model.weights.size());
  EXPECT_EQ(model.training_step, 150);
  // Twelve trainings with other seeds ended at 0.43 to 0.50 of the first batch's loss (docs/design/verification.md).
  EXPECT_LT(learner["loss_last"], 0.7 * learner["loss_first"].get<double>());
  // On the month that was never trained on, a network that gives nothing would have the loss of persistence; those
  // trainings came to 0.63 to 0.76 of it.
  const auto validations = read_metrics(small_run().folder + "/metrics.jsonl", "validate");
  ASSERT_GE(validations.size(), 2u);
  EXPECT_EQ(validations.back()["samples"], kLessonSamples);
  EXPECT_EQ(validations.back()["loss"], learner["validation_loss"]);
  EXPECT_LT(validations.back()["loss"], 0.9 * validations.back()["persistence"].get<double>());
}

TEST_F(CoupledRun, ForecastsAreScoredAgainstTheFineSolver) {
  const json forecast = small_run().summary()["forecast"];
  EXPECT_EQ(forecast["lead_hours"], json({0, 6, 12, 18, 24}));
  EXPECT_EQ(forecast["starts"], kStarts);
  for (const char* field : {"h", "wind"})
    for (const char* system : {"persistence", "coarse", "hybrid"}) {
      SCOPED_TRACE(std::string(field) + " of " + system);
      const json rmse = forecast["rmse"][field][system], acc = forecast["acc"][field][system];
      ASSERT_EQ(rmse.size(), std::size_t{kLeads});
      ASSERT_EQ(acc.size(), std::size_t{kLeads});
      EXPECT_EQ(rmse[0], 0);  // all start from the coarse-grained fine state, to the bit
      EXPECT_NEAR(acc[0].get<double>(), 1, 1e-12);
      for (int lead = 1; lead < kLeads; ++lead) {
        EXPECT_GT(rmse[lead].get<double>(), 0);
        EXPECT_LT(acc[lead].get<double>(), 1);
      }
    }
  // A network of 150 steps already takes the coarse solver's wind towards the fine one's: by 3 to 21 per cent after a
  // day in twelve trainings. Of the height that can not be said.
  for (int lead : {1, kLeads - 1})
    EXPECT_LT(forecast["rmse"]["wind"]["hybrid"][lead], forecast["rmse"]["wind"]["coarse"][lead]);
  EXPECT_GT(forecast["cost_ratio"].get<double>(), 0);

  const auto fields = datasets_of(small_run().folder + "/forecast.nc");
  for (const char* name : {"h_fine", "h_coarse", "h_hybrid", "u_fine", "v_hybrid", "orography", "lead"})
    EXPECT_TRUE(fields.count(name)) << name;
  EXPECT_EQ(fields.at("h_hybrid").size() % (kStarts * kLeads * 6 * 12 * 12), 0u);
}

TEST_F(CoupledRun, IsTheSameOnAnyNumberOfSolverRanks) {
  const Scratch scratch("coupled-ranks");
  const auto expected = datasets_of(small_run().folder + "/forecast.nc");
  const Model model = Model::load(small_run().folder + "/model.h5");
  for (int solvers : {2, 3}) {
    SCOPED_TRACE(std::to_string(solvers) + " solver ranks");
    const std::string folder = scratch / std::to_string(solvers);
    const Job job = run_job(scratch, std::to_string(solvers), solvers + 1,
                            "run " + small_run().deck + " --set output.dir=" + folder +
                                " --set ranks.learner=1 --set ranks.solver=" + std::to_string(solvers));
    ASSERT_EQ(job.code, 0) << job.err;
    expect_same_network(Model::load(folder + "/model.h5"), model);
    EXPECT_TRUE(datasets_of(folder + "/forecast.nc") == expected);
    const json summary = read_json(folder + "/summary.json");
    EXPECT_EQ(summary["ranks"]["solver"], solvers);
    EXPECT_EQ(summary["forecast"]["rmse"], small_run().summary()["forecast"]["rmse"]);
    EXPECT_EQ(summary["forecast"]["acc"], small_run().summary()["forecast"]["acc"]);
    EXPECT_EQ(summary["solver"]["mass_drift"], small_run().summary()["solver"]["mass_drift"]);
  }
}

TEST_F(FromItsFiles, TrainingOnTheArchiveGivesTheSameWeights) {
  const Scratch scratch("train");
  const std::string base = "train " + small_run().deck + " --set learner.archives=" + small_run().archive;
  const Job job = run_job(scratch, "same", 1, base + " --set output.dir=" + (scratch / "same"));
  ASSERT_EQ(job.code, 0) << job.err;
  const Model model = Model::load(small_run().folder + "/model.h5");
  expect_same_network(Model::load(scratch / "same/model.h5"), model);
  const json coupled = small_run().summary()["learner"], trained = read_json(scratch / "same/summary.json")["learner"];
  for (const char* key :
       {"parameters", "steps", "samples_seen", "reuse_factor", "loss_first", "loss_last", "validation_loss"})
    EXPECT_EQ(trained[key], coupled[key]) << key;

  // Without the fixed order all samples are at hand from the first step: other batches, another network, which must
  // be as good. Tolerance: largest difference over six seeds 14 per cent, the others below 7, so a quarter.
  const Job free = run_job(scratch, "free", 1,
                           base + " --set output.dir=" + (scratch / "free") + " --set learner.deterministic=false");
  ASSERT_EQ(free.code, 0) << free.err;
  EXPECT_FALSE(Model::load(scratch / "free/model.h5").weights == model.weights);
  const double loss = read_json(scratch / "free/summary.json")["learner"]["validation_loss"];
  EXPECT_NEAR(loss, coupled["validation_loss"].get<double>(), 0.25 * coupled["validation_loss"].get<double>());
}

TEST_F(FromItsFiles, ForecastWithTheModelGivesTheSameScores) {
  const Scratch scratch("forecast");
  const auto expected = datasets_of(small_run().folder + "/forecast.nc");
  for (int ranks : {1, 2}) {
    SCOPED_TRACE(std::to_string(ranks) + " ranks");
    const std::string folder = scratch / std::to_string(ranks);
    const Job job = run_job(scratch, std::to_string(ranks), ranks,
                            "forecast " + small_run().deck + " --set output.dir=" + folder +
                                " --set surrogate.model=" + small_run().folder + "/model.h5");
    ASSERT_EQ(job.code, 0) << job.err;
    const json summary = read_json(folder + "/summary.json"), forecast = summary["forecast"];
    EXPECT_NE(summary["solver"]["energy_drift"], 0.0);  // the budgets were watched
    EXPECT_LT(std::abs(summary["solver"]["mass_drift"].get<double>()), round_off(1e-13));
    EXPECT_EQ(forecast["rmse"], small_run().summary()["forecast"]["rmse"]);
    EXPECT_EQ(forecast["acc"], small_run().summary()["forecast"]["acc"]);
    EXPECT_TRUE(datasets_of(folder + "/forecast.nc") == expected);
  }
}

TEST_F(FromItsFiles, TwoLearnersTrainAsWellAsOneAndTheArchiveRepeatsThem) {
  const Scratch scratch("two-learners");
  const std::string learners = " --set ranks.learner=2";
  const Job job =
      run_job(scratch, "two", 3, "run " + small_run().deck + learners + " --set output.dir=" + (scratch / "two"));
  ASSERT_EQ(job.code, 0) << job.err;
  const json summary = read_json(scratch / "two/summary.json"), one = small_run().summary()["learner"];
  EXPECT_EQ(summary["ranks"]["learner"], 2);
  EXPECT_EQ(summary["stream"]["produced"], kSamples);
  EXPECT_EQ(summary["stream"]["delivered"], kSamples);
  EXPECT_EQ(summary["stream"]["in_flight"], 0);
  EXPECT_EQ(summary["learner"]["samples_seen"], one["samples_seen"]);
  // Batches of the same size from the same samples, drawn in another order. Tolerance: largest difference over six
  // seeds 4.0 per cent, so ten.
  EXPECT_NEAR(summary["learner"]["validation_loss"].get<double>(), one["validation_loss"].get<double>(),
              0.1 * one["validation_loss"].get<double>());
  EXPECT_LT(summary["learner"]["loss_last"], 0.7 * summary["learner"]["loss_first"].get<double>());

  const Job again = run_job(scratch, "again", 2,
                            "train " + small_run().deck + learners + " --set learner.archives=" + small_run().archive +
                                " --set output.dir=" + (scratch / "again"));
  ASSERT_EQ(again.code, 0) << again.err;
  expect_same_network(Model::load(scratch / "again/model.h5"), Model::load(scratch / "two/model.h5"));
}

}  // namespace
}  // namespace tramontane::testing
