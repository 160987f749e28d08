// `tramontane train` with a fine-tuning by rollouts: ranks, restarts, reports, and what it refuses.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <future>
#include <thread>

#include "job.hpp"
#include "ml/model.hpp"
#include "src/archive/archive_format.hpp"
#include "src/checkpoint/training_store.hpp"
#include "src/hdf5_handles.hpp"

namespace tramontane::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using nlohmann::json;

class RolloutTraining : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(small_run().job.code, 0) << small_run().job.err; }

  /// Thirty steps on single intervals, then two stages of eight steps of rollouts.
  Job train(const std::string& folder, int ranks = 1, const std::string& settings = "") const {
    constexpr int limit_seconds = 300;  // checkpoints at every step take their time on a busy disk
    return run_job(scratch_, folder + "-" + std::to_string(++jobs_), ranks,
                   "train " + small_run().deck + " --set learner.archives=" + small_run().archive +
                       " --set learner.order=shuffled --set learner.steps=30 --set learner.batch=6"
                       " --set learner.rollout=[2,3] --set learner.rollout_steps=8 --set learner.validate_every=4"
                       " --set output.dir=" +
                       (scratch_ / folder) + settings,
                   limit_seconds);
  }
  Model model(const std::string& folder, const std::string& name = "model.h5") const {
    return Model::load(scratch_ / (folder + "/" + name));
  }
  json learner(const std::string& folder) const { return read_json(scratch_ / (folder + "/summary.json"))["learner"]; }
  std::vector<json> metrics(const std::string& folder, const std::string& kind) const {
    return read_metrics(scratch_ / (folder + "/metrics.jsonl"), kind);
  }

  void expect_refused(const std::string& settings, const std::vector<std::string>& words, int ranks = 1) const {
    SCOPED_TRACE(settings);
    const Job job = train("refused", ranks, settings);
    EXPECT_EQ(job.code, 2) << job.err;
    const std::size_t at = job.err.find("tramontane: error: ");
    ASSERT_NE(at, std::string::npos) << job.err;
    const std::string sentence = job.err.substr(at, job.err.find('\n', at) - at);
    for (const std::string& word : words) EXPECT_NE(sentence.find(word), std::string::npos) << word << "\n" << sentence;
    EXPECT_EQ(sentence.find(". "), std::string::npos) << "more than one sentence: " << sentence;
    EXPECT_FALSE(fs::exists(scratch_ / "refused/metrics.jsonl"));
  }

  Scratch scratch_{"rollout-training"};
  mutable int jobs_ = 0;
};

TEST_F(RolloutTraining, TellsItsStagesAndKeepsTheBestRollouts) {
  const Job job = train("one");
  ASSERT_EQ(job.code, 0) << job.err;
  const json l = learner("one");
  EXPECT_EQ(l["steps"], 46);
  EXPECT_EQ(l["samples_seen"], 46 * 6);
  EXPECT_EQ(l["rollout"]["stages"], json({2, 3}));
  EXPECT_EQ(l["rollout"]["steps"], 16);
  EXPECT_EQ(l["rollout"]["lost"], 0);
  const auto steps = metrics("one", "train");
  std::map<int, int> rollout_of;
  for (const json& line : steps) rollout_of[line["step"]] = line["rollout"];
  EXPECT_EQ(rollout_of, (std::map<int, int>{{1, 1}, {10, 1}, {20, 1}, {30, 1}, {40, 3}}));
  EXPECT_NE(job.err.find("stage 1 of 2: rollouts over 2 coupling intervals from 66 starts"), std::string::npos)
      << job.err;
  EXPECT_NE(job.err.find("stage 2 of 2: rollouts over 3 coupling intervals from 63 starts"), std::string::npos)
      << job.err;
  // Rollouts over three intervals from the fine-tuning's beginning on; the best of them is the model.
  const auto rollouts = metrics("one", "validate_rollouts");
  ASSERT_EQ(rollouts.size(), 6u);  // 30, 32, ..., 44, 46
  EXPECT_EQ(rollouts.front()["step"], 30);
  EXPECT_EQ(rollouts.back()["step"], 46);
  double best = 1e9;
  for (const json& line : rollouts) {
    EXPECT_EQ(line["rollout"], 3);
    EXPECT_EQ(line["samples"], 21);
    best = std::min(best, line["loss"].get<double>());
  }
  EXPECT_EQ(l["best_validation_loss"], best);
  EXPECT_EQ(l["rollout"]["loss_first"], rollouts.front()["loss"]);
  EXPECT_EQ(l["rollout"]["loss_last"], rollouts.back()["loss"]);
  EXPECT_EQ(model("one").training_step, l["best_step"]);
  EXPECT_EQ(model("one", "model-last.h5").training_step, 46);
  // The single intervals are validated as before, but are not what decides.
  for (const json& line : metrics("one", "validate")) {
    if (line["step"] > 30) {
      EXPECT_EQ(line["best"], false);
    }
  }
  // A peak of a tenth of the rate, warmed up over one step, long before the end of the cosine.
  EXPECT_LT(steps.back()["learning_rate"], 2e-4);
}

TEST_F(RolloutTraining, SameBitsOnAnyNumberOfRanks) {
  ASSERT_EQ(train("1").code, 0);
  for (const int ranks : {2, 3}) {
    const std::string folder = std::to_string(ranks);
    const Job job = train(folder, ranks);
    ASSERT_EQ(job.code, 0) << job.err;
    EXPECT_TRUE(model(folder, "model-last.h5").weights == model("1", "model-last.h5").weights) << ranks;
    EXPECT_TRUE(model(folder).weights == model("1").weights) << ranks;
    EXPECT_EQ(learner(folder)["samples_seen"], learner("1")["samples_seen"]);
    // Losses over held-out samples are summed up rank by rank.
    EXPECT_NEAR(learner(folder)["rollout"]["loss_last"].get<double>(),
                learner("1")["rollout"]["loss_last"].get<double>(), 1e-12);
  }
}

TEST_F(RolloutTraining, GoesOnFromTheMidstOfAStage) {
  ASSERT_EQ(train("whole").code, 0);
  const std::string resume = " --set learner.resume=auto";
  ASSERT_EQ(train("part", 1, resume + " --set learner.checkpoint_minutes=1e-5 --set checkpoint.keep=99").code, 0);
  // What a kill after each of these steps would have left: at and after the beginning, between and within stages.
  const auto all = list_training_checkpoints(scratch_ / "part/training-checkpoints");
  for (const int step : {30, 31, 38, 45}) {
    SCOPED_TRACE(step);
    const std::string folder = fmt::format("from-{}", step);
    fs::create_directories(scratch_ / (folder + "/training-checkpoints"));
    const std::string name = fmt::format("training-{:09}.h5", step);
    ASSERT_TRUE(fs::exists(scratch_ / ("part/training-checkpoints/" + name))) << all.size();
    fs::copy(scratch_ / ("part/training-checkpoints/" + name), scratch_ / (folder + "/training-checkpoints/" + name));
    fs::copy(scratch_ / "part/metrics.jsonl", scratch_ / (folder + "/metrics.jsonl"));
    const Job rest = train(folder, 1, resume);
    ASSERT_EQ(rest.code, 0) << rest.err;
    EXPECT_NE(rest.err.find(fmt::format("continuing after step {}", step)), std::string::npos) << rest.err;
    for (const char* file : {"model.h5", "model-last.h5"}) {
      EXPECT_TRUE(model(folder, file).weights == model("whole", file).weights) << file;
      EXPECT_EQ(model(folder, file).training_step, model("whole", file).training_step) << file;
    }
    for (const char* key : {"loss_first", "loss_last", "validation_loss", "best_step", "best_validation_loss", "rollout"})
      EXPECT_EQ(learner(folder)[key], learner("whole")[key]) << key;
    const auto lines = metrics(folder, ""), others = metrics("whole", "");
    ASSERT_EQ(lines.size(), others.size());
    for (std::size_t k = 0; k < lines.size(); ++k)
      for (const char* key : {"kind", "step", "loss", "rollout"})
        EXPECT_EQ(lines[k].value(key, json()), others[k].value(key, json())) << k;
  }
}

TEST_F(RolloutTraining, GoesOnAfterAKill) {
  ASSERT_EQ(train("whole").code, 0);
  const std::string resume = " --set learner.resume=auto --set learner.checkpoint_minutes=1e-5";
  auto job = std::async(std::launch::async, [&] { return train("killed", 1, resume); });
  const std::string file = scratch_ / "killed/metrics.jsonl";
  const auto end = std::chrono::steady_clock::now() + 60s;
  while (read_text(file).find("\"step\":36,\"rollout\"") == std::string::npos && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(2ms);
  for (const auto& [process, rank] : processes_of(scratch_)) kill(process, SIGKILL);
  EXPECT_NE(job.get().code, 0);
  const Job rest = train("killed", 2, resume);  // on another number of ranks
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_NE(rest.err.find("continuing after step"), std::string::npos) << rest.err;
  EXPECT_TRUE(model("killed", "model-last.h5").weights == model("whole", "model-last.h5").weights);
  EXPECT_TRUE(model("killed").weights == model("whole").weights);
}

TEST_F(RolloutTraining, FineTunesAModel) {
  const std::string from = " --from " + small_run().folder + "/model.h5 --set learner.steps=0";
  const Job job = train("tuned", 1, from);
  ASSERT_EQ(job.code, 0) << job.err;
  EXPECT_EQ(learner("tuned")["steps"], 16);
  const auto rollouts = metrics("tuned", "validate_rollouts");
  EXPECT_EQ(rollouts.front()["step"], 0);
  EXPECT_LE(learner("tuned")["best_validation_loss"], rollouts.front()["loss"]);
  EXPECT_FALSE(model("tuned", "model-last.h5").weights == Model::load(small_run().folder + "/model.h5").weights);
}

TEST_F(RolloutTraining, CheckTellsTheCost) {
  const Job job = run_job(scratch_, "check", 1,
                          "check --for train " + small_run().deck + " --set learner.archives=" + small_run().archive +
                              " --set learner.order=shuffled --set learner.rollout=[1,2,4] --set learner.rollout_steps=50" +
                              " --set output.dir=" + (scratch_ / "check"));
  ASSERT_EQ(job.code, 0) << job.err;
  EXPECT_NE(job.out.find("3 stages of 50 steps, rollouts over 1, 2, 4 coupling intervals"), std::string::npos) << job.out;
  EXPECT_NE(job.out.find(fmt::format("{} coarse intervals", 50 * 8 * (2 + 4))), std::string::npos) << job.out;
}

TEST_F(RolloutTraining, RefusesWhatItCannotDo) {
  expect_refused(" --set learner.rollout=[2,24]", {"learner.rollout = [2, 24]", small_run().archive, "25 samples", "has 24"},
                 2);
  expect_refused(" --set learner.rollout=[0]", {"learner.rollout = [0]", "1 to 64"});
  expect_refused(" --set learner.order=stream", {"learner.rollout = [2, 3]", "learner.order = shuffled"});
  expect_refused(" --set learner.patience=2", {"learner.rollout = [2, 3]", "learner.patience = 2"});
  expect_refused(" --set learner.steps=0", {"learner.steps = 0", "--from"});
  expect_refused(" --set learner.rollout=[] --set learner.steps=0", {"learner.steps = 0", "nothing to train"});
  // What the archive says about its coarse solver.
  expect_refused(" --set physics.reconstruction=7",
                 {small_run().archive, "physics.reconstruction = 5", "deck's has 7", "set it back"}, 2);
  expect_refused(" --set time.cfl=0.4", {small_run().archive, "time.cfl = 0.8", "0.4"});
  const Job run = run_job(scratch_, "run", 2,
                          "run " + small_run().deck + " --set learner.rollout=[2] --set output.dir=" + (scratch_ / "run"));
  EXPECT_EQ(run.code, 2) << run.err;
  EXPECT_NE(run.err.find("learner.rollout = [2] needs whole trajectories"), std::string::npos) << run.err;
}

/// A copy of the archive as earlier versions wrote them: without a seal, and silent about the coarse solver.
std::string earlier_archive(const std::string& path) {
  fs::copy(small_run().archive, path);
  const auto lock = hdf5::library_lock();
  const hdf5::Handle file = hdf5::open_file(path, H5F_ACC_RDWR);
  for (const char* name : {"physics", "format_version"}) hdf5::check(H5Adelete(file, name), "cannot delete");
  hdf5::write_attribute(file, "format_version", kArchiveUnsealed);
  return path;
}

TEST_F(RolloutTraining, RefusesAnArchiveOfAnotherSolverThatDoesNotSaySo) {
  const std::string silent = earlier_archive(scratch_ / "silent.h5");
  expect_refused(" --set learner.archives=" + silent + " --set physics.reconstruction=7",
                 {silent, "does not give its targets again", "learner.rollout to []"});
  const Job good = train("silent", 1, " --set learner.archives=" + silent);
  EXPECT_EQ(good.code, 0) << good.err;
}

TEST_F(RolloutTraining, RefusesSamplesFartherApartThanTheInterval) {
  const std::string folder = scratch_ / "sparse", archive = scratch_ / "sparse/archive.h5";
  const Job job = run_job(scratch_, "sparse", 2,
                          "run " + small_run().deck + " --set stream.every=2h --set output.dir=" + folder +
                              " --set learner.steps=12 --set stream.archive=" + archive);
  ASSERT_EQ(job.code, 0) << job.err;
  expect_refused(" --set learner.archives=" + archive, {archive, "every 2h", "1h", "stream.every"}, 2);
}

TEST_F(RolloutTraining, RefusesAModelOfAnotherGrid) {
  const std::string path = scratch_ / "c24.h5";
  Model model = Model::load(small_run().folder + "/model.h5");
  model.network.n = 24;
  model.distribution = {};  // that of C12
  model.make_self_test();
  model.save(path);
  expect_refused(" --set learner.steps=0 --from " + path, {path, "C24", "C12"});
}

}  // namespace
}  // namespace tramontane::testing
