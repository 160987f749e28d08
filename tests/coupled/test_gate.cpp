// Weights on their way back: judged, promoted, watched and rolled back; and learners that are lost.
#include <gtest/gtest.h>

#include <algorithm>

#include "job.hpp"
#include "ml/model.hpp"

namespace tramontane::testing {
namespace {

using nlohmann::json;

constexpr int kSamples = 96;  // of small_deck()

/// The small deck on some solver ranks and one learner, with faults on order.
struct GateRun {
  Job job;
  std::string folder;
  json summary;
  std::vector<json> promotions, rollbacks;

  GateRun(const Scratch& scratch, const std::string& name, int solvers, const std::string& settings,
          const std::string& faults = "")
      : folder(scratch / name) {
    const std::string deck = scratch.write(name + ".yaml", small_deck());
    job = run_job(scratch, name, solvers + 1, "run " + deck + " --set output.dir=" + folder +
                  " --set ranks.learner=1 --set gate.every=20 --set gate.hours=6 " + settings, 240,
                  faults.empty() ? "" : "TRAMONTANE_FAULT=" + faults);
    if (job.code != 0) return;
    summary = read_json(folder + "/summary.json");
    promotions = read_metrics(folder + "/metrics.jsonl", "promotion");
    rollbacks = read_metrics(folder + "/metrics.jsonl", "rollback");
  }
  std::vector<json> promoted() const {
    std::vector<json> out;
    std::copy_if(promotions.begin(), promotions.end(), std::back_inserter(out),
                 [](const json& line) { return line["verdict"] == "promoted"; });
    return out;
  }
};

void expect_closed(const json& stream) {
  EXPECT_EQ(stream["produced"], kSamples);
  EXPECT_EQ(stream["in_flight"], 0);
  EXPECT_EQ(stream["produced"].get<int>(),
            stream["delivered"].get<int>() + stream["dropped"].get<int>() + stream["rejected"].get<int>());
}

void expect_physics_alone(const GateRun& run) {
  EXPECT_EQ(run.summary["gate"]["version"], 0);
  EXPECT_EQ(run.summary["gate"]["forecast"], "physics alone");
  EXPECT_EQ(run.summary["learner"]["weights_version"], 0);
  const json rmse = run.summary["forecast"]["rmse"];
  EXPECT_EQ(rmse["wind"]["hybrid"], rmse["wind"]["coarse"]);
  EXPECT_FALSE(std::filesystem::exists(run.folder + "/model.h5"));
}

// Each promoted version beats the one before on all counts, and the frames of several solver ranks, each of which names
// the version in use, never disagree: a learner rejects samples whose frames do.
TEST(Gate, PromotesWhileTheLessonsRunOnAllRanksAtOneSample) {
  const Scratch scratch("gate-promotes");
  // A slow solver, so that weights are there before the lessons are over; slower yet where the machine is busy.
  for (const char* delay : {"0.05", "0.4"}) {
    const GateRun run(scratch, std::string("run") + delay, 3, "--set learner.deterministic=false --set learner.steps=300",
                      std::string("rank=0,at=lesson-sample:30+,do=delay:") + delay);
    ASSERT_EQ(run.job.code, 0) << run.job.err;
    const std::vector<json> promoted = run.promoted();
    ASSERT_FALSE(promoted.empty());
    for (std::size_t k = 0; k < promoted.size(); ++k) {
      EXPECT_LT(promoted[k]["shadow_score"], promoted[k]["current_score"]);
      EXPECT_LT(promoted[k]["relative_loss"], 1.0);
      EXPECT_EQ(promoted[k]["in_use"], promoted[k]["version"]);
      if (k == 0) continue;
      EXPECT_GT(promoted[k]["version"], promoted[k - 1]["version"]);
      EXPECT_GT(promoted[k]["training_step"], promoted[k - 1]["training_step"]);
      EXPECT_GE(promoted[k]["sample"], promoted[k - 1]["sample"]);
      EXPECT_LT(promoted[k]["relative_loss"], promoted[k - 1]["relative_loss"]);
    }
    const json gate = run.summary["gate"];
    EXPECT_EQ(gate["version"], run.promotions.back()["in_use"]);
    EXPECT_EQ(gate["version"], run.summary["learner"]["weights_version"]);
    EXPECT_EQ(gate["promoted"], promoted.size());
    EXPECT_EQ(gate["candidates"], run.promotions.size());
    EXPECT_EQ(gate["rollbacks"], run.rollbacks.size());
    EXPECT_FALSE(run.summary["learner"]["lost"]);
    expect_closed(run.summary["stream"]);
    EXPECT_EQ(run.summary["stream"]["rejected"], 0);

    const Model model = Model::load(run.folder + "/model.h5");
    const json provenance = json::parse(model.provenance);
    EXPECT_EQ(provenance["gate"]["version"], gate["version"]);
    EXPECT_EQ(provenance["candidate"]["training_step"], model.training_step);
    if (promoted.front()["sample"] < kSamples - 8 || std::string(delay) == "0.4") {
      EXPECT_LT(promoted.front()["sample"], kSamples - 8);
      EXPECT_FALSE(read_metrics(run.folder + "/metrics.jsonl", "live").empty());
      return;
    }
  }
}

// What is judged, and how, must not depend on when it came or on how many judge it.
TEST(Gate, IsDeterministicOnAnyNumberOfSolverRanks) {
  const Scratch scratch("gate-deterministic");
  std::vector<json> first;
  for (const int solvers : {1, 3}) {
    GateRun run(scratch, std::to_string(solvers), solvers, "");
    ASSERT_EQ(run.job.code, 0) << run.job.err;
    ASSERT_EQ(run.promotions.size(), 5u);  // after steps 80, 100, 120, 140 and the last
    for (json& line : run.promotions) line.erase("seconds");
    for (const json& line : run.promotions) EXPECT_EQ(line["sample"], kSamples);
    EXPECT_TRUE(read_metrics(run.folder + "/metrics.jsonl", "live").empty());
    if (first.empty()) first = run.promotions;
    EXPECT_EQ(run.promotions, first);
  }
}

// Spoilt on the way, not numbers, and worthless whatever its learner says of it.
TEST(Gate, SpoiltWeightsAreNotPromoted) {
  const Scratch scratch("gate-spoilt");
  const GateRun run(scratch, "run", 1, "",
                    "rank=1,at=candidate:1,do=corrupt;rank=1,at=candidate:2,do=nan;rank=1,at=candidate:3,do=fail");
  ASSERT_EQ(run.job.code, 0) << run.job.err;
  ASSERT_EQ(run.promotions.size(), 5u);
  for (int k = 0; k < 3; ++k) {
    EXPECT_EQ(run.promotions[k]["verdict"], "rejected") << k;
    EXPECT_EQ(run.promotions[k]["in_use"], 0) << k;
  }
  EXPECT_NE(run.promotions[0]["why"].get<std::string>().find("checksum"), std::string::npos) << run.promotions[0];
  EXPECT_NE(run.promotions[1]["why"].get<std::string>().find("weights are not finite"), std::string::npos) << run.promotions[1];
  EXPECT_NE(run.promotions[2]["why"].get<std::string>().find("shadow forecast"), std::string::npos) << run.promotions[2];
  EXPECT_GT(run.summary["gate"]["version"], 3);
  EXPECT_EQ(run.summary["gate"]["rejected"].get<int>() + run.summary["gate"]["promoted"].get<int>(), 5);
}

// Only candidates that are no good: physics alone, and everything else as ever.
TEST(Gate, WithoutGoodWeightsTheForecastIsPhysicsAlone) {
  const Scratch scratch("gate-none");
  const GateRun run(scratch, "run", 1, "", "rank=1,at=candidate,do=fail");
  ASSERT_EQ(run.job.code, 0) << run.job.err;
  EXPECT_TRUE(run.promoted().empty());
  expect_physics_alone(run);
  EXPECT_NE((run.job.out + run.job.err).find("physics alone"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(run.folder + "/model-last.h5"));
  EXPECT_TRUE(std::filesystem::exists(run.folder + "/forecast.nc"));
}

TEST(Gate, AVersionThatTurnsBadBesideTheLessonsIsRolledBackForGood) {
  const Scratch scratch("gate-rollback");
  for (const char* delay : {"0.05", "0.4"}) {
    const GateRun run(scratch, std::string("run") + delay, 2,
                      "--set learner.deterministic=false --set learner.steps=300 --set gate.patience=0",
                      std::string("rank=*,at=promotion,do=corrupt;rank=0,at=lesson-sample:30+,do=delay:") + delay);
    ASSERT_EQ(run.job.code, 0) << run.job.err;
    if (run.rollbacks.empty() && std::string(delay) != "0.4") continue;
    ASSERT_FALSE(run.rollbacks.empty());
    const json bad = run.rollbacks.front();
    EXPECT_LT(bad["in_use"], bad["version"]);
    EXPECT_LT(bad["sample"], kSamples);
    EXPECT_EQ(run.summary["gate"]["rollbacks"], run.rollbacks.size());
    for (const json& line : run.promotions) {
      if (line["sample"] >= bad["sample"] && line["version"] > bad["version"]) {
        EXPECT_NE(line["in_use"], bad["version"]);
      }
    }
    return;
  }
}

// A version that no shadow forecast showed to be bad, in the forecasts that the run is for.
TEST(Gate, ForecastsGoBackToTheVersionBefore) {
  const Scratch scratch("gate-forecast");
  const GateRun good(scratch, "good", 1, "");
  ASSERT_EQ(good.job.code, 0) << good.job.err;
  const std::vector<json> promoted = good.promoted();
  ASSERT_GE(promoted.size(), 2u);
  const int last = promoted.back()["version"], before = promoted[promoted.size() - 2]["version"];
  const GateRun run(scratch, "run", 1, "", "rank=*,at=promotion:" + std::to_string(last) + ",do=nan");
  ASSERT_EQ(run.job.code, 0) << run.job.err;
  ASSERT_EQ(run.rollbacks.size(), 1u);
  EXPECT_EQ(run.rollbacks[0]["version"], last);
  EXPECT_EQ(run.rollbacks[0]["in_use"], before);
  EXPECT_EQ(run.summary["gate"]["version"], before);
  EXPECT_NE(run.summary["forecast"]["rmse"]["wind"]["hybrid"], run.summary["forecast"]["rmse"]["wind"]["coarse"]);
  // The files say what the scores are of.
  const Job again = run_job(scratch, "again", 1,
                            "forecast " + (scratch / "run.yaml") + " --set output.dir=" + (scratch / "again") +
                                " --set surrogate.model=" + run.folder + "/model.h5");
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(read_json(scratch / "again/summary.json")["forecast"]["rmse"], run.summary["forecast"]["rmse"]);
}

TEST(LearnerFaults, ABadGradientCostsOneBatch) {
  const Scratch scratch("bad-gradient");
  const GateRun run(scratch, "run", 1, "", "rank=1,at=gradient:30,do=nan");
  ASSERT_EQ(run.job.code, 0) << run.job.err;
  EXPECT_EQ(run.summary["learner"]["bad_steps"], 1);
  EXPECT_EQ(run.summary["learner"]["steps"], 150);
  EXPECT_GT(run.summary["gate"]["version"], 0);
  const auto bad = read_metrics(run.folder + "/metrics.jsonl", "bad_step");
  ASSERT_EQ(bad.size(), 1u);
  EXPECT_EQ(bad[0]["step"], 30);
  EXPECT_NE(bad[0]["what"].get<std::string>().find("the gradient of "), std::string::npos) << bad[0];
}

TEST(LearnerFaults, OneThatFailsLeavesItsLastGoodWeights) {
  const Scratch scratch("learner-fails");
  // All samples are there before it trains, the held-out ones among them.
  const GateRun run(scratch, "run", 2, "--set learner.deterministic=false --set learner.watermark=72",
                    "rank=2,at=learner:130,do=fail");
  ASSERT_EQ(run.job.code, 0) << run.job.err;
  EXPECT_TRUE(run.summary["learner"]["lost"]);
  EXPECT_NE(run.summary["learner"]["why_lost"].get<std::string>().find("learner rank 2 gave up"), std::string::npos);
  EXPECT_GT(run.summary["gate"]["version"], 0);
  EXPECT_EQ(run.summary["gate"]["forecast"], "hybrid");
  EXPECT_EQ(Model::load(run.folder + "/model.h5").training_step, run.summary["gate"]["training_step"]);
  expect_closed(run.summary["stream"]);
}

TEST(LearnerFaults, GradientsThatStayBadEndTheTrainingNotTheRun) {
  const Scratch scratch("bad-gradients");
  const GateRun run(scratch, "run", 1, "", "rank=1,at=gradient:30+,do=nan");
  ASSERT_EQ(run.job.code, 0) << run.job.err;
  EXPECT_TRUE(run.summary["learner"]["lost"]);
  expect_physics_alone(run);
  expect_closed(run.summary["stream"]);
  // Six batches, and the weights taken back after the third.
  EXPECT_EQ(read_metrics(run.folder + "/metrics.jsonl", "bad_step").size(), 7u);
}

}  // namespace
}  // namespace tramontane::testing
