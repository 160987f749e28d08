// `tramontane train` by shuffled epochs: order, ranks, checkpoints, early stop, and beginning with a model.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <future>
#include <set>
#include <thread>

#include "job.hpp"
#include "ml/counter_random.hpp"
#include "ml/model.hpp"
#include "src/checkpoint/training_store.hpp"
#include "src/coupled/epoch_order.hpp"
#include "src/coupled/read_ahead.hpp"

namespace tramontane::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kTraining = 72, kHeldOut = 24;  // samples of small_run()'s archive

TEST(EpochOrder, EveryEpochIsAPermutationOfItsOwn) {
  constexpr std::int64_t count = 97;
  EpochOrder order(count, 5), again(count, 5), other(count, 6);
  std::vector<std::vector<std::int64_t>> epochs;
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<std::int64_t> seen;
    for (std::int64_t k = 0; k < count; ++k) seen.push_back(order.at(epoch * count + k));
    EXPECT_EQ(std::set<std::int64_t>(seen.begin(), seen.end()).size(), static_cast<std::size_t>(count));
    EXPECT_EQ(*std::min_element(seen.begin(), seen.end()), 0);
    EXPECT_EQ(*std::max_element(seen.begin(), seen.end()), count - 1);
    epochs.push_back(seen);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
  // A place gives the same sample whatever was asked for before, which is all that a restart relies on.
  EXPECT_EQ(again.at(2 * count + 11), epochs[2][11]);
  EXPECT_EQ(again.at(11), epochs[0][11]);
  bool differs = false;
  for (std::int64_t k = 0; k < count; ++k) differs |= other.at(k) != epochs[0][static_cast<std::size_t>(k)];
  EXPECT_TRUE(differs);
}

Sample numbered(std::int64_t number) {
  Sample sample;
  sample.info.number = number;
  return sample;
}

TEST(ReadAhead, GivesSamplesInOrderAndHoldsABoundedNumber) {
  std::atomic<std::int64_t> read{0};
  ReadAhead ahead([&](std::int64_t place) { return ++read, numbered(place); }, 5, 105, 8);
  std::int64_t most = 0;
  for (std::int64_t k = 5; k < 105; ++k) {
    EXPECT_EQ(ahead.take(30).info.number, k);
    most = std::max<std::int64_t>(most, read - (k - 4));
  }
  EXPECT_LE(most, 9);  // eight ready and one in the reader's hand
  EXPECT_THROW(ahead.take(30), RunError);
}

TEST(ReadAhead, HandsOnErrorsAfterTheSamplesBefore) {
  ReadAhead ahead(
      [](std::int64_t place) {
        if (place == 3) throw InputError("sample 3 is bad");
        return numbered(place);
      },
      0, 10, 8);
  for (std::int64_t k = 0; k < 3; ++k) EXPECT_EQ(ahead.take(30).info.number, k);
  EXPECT_THROW(ahead.take(30), InputError);
}

TEST(ReadAhead, EndsWhileFullAndDoesNotWaitForEver) {
  { const ReadAhead full(numbered, 0, 1000, 2); }  // its thread waits for room
  std::promise<void> release;
  auto released = release.get_future().share();
  ReadAhead slow([&](std::int64_t place) { return released.wait(), numbered(place); }, 0, 1, 1);
  EXPECT_THROW(slow.take(0.05), RunError);
  release.set_value();
}

class OfflineTraining : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(small_run().job.code, 0) << small_run().job.err; }

  /// Shuffled training on the small archive for 400 short steps.
  std::string arguments(const std::string& folder, const std::string& settings = "") const {
    return "train " + small_run().deck + " --set learner.archives=" + small_run().archive +
           " --set learner.order=shuffled --set learner.steps=400 --set output.dir=" + (scratch_ / folder) + settings;
  }
  Job train(const std::string& folder, int ranks = 1, const std::string& settings = "") const {
    return run_job(scratch_, folder + "-" + std::to_string(++jobs_), ranks, arguments(folder, settings));
  }
  Model model(const std::string& folder, const std::string& name = "model.h5") const {
    return Model::load(scratch_ / (folder + "/" + name));
  }
  json learner(const std::string& folder) const { return read_json(scratch_ / (folder + "/summary.json"))["learner"]; }
  std::vector<std::string> checkpoints(const std::string& folder) const {
    return list_training_checkpoints(scratch_ / (folder + "/training-checkpoints"));
  }

  void expect_same_training(const std::string& a, const std::string& b) const {
    for (const char* name : {"model.h5", "model-last.h5"}) {
      EXPECT_TRUE(model(a, name).weights == model(b, name).weights) << name;
      EXPECT_TRUE(model(a, name).normaliser == model(b, name).normaliser) << name;
      EXPECT_EQ(model(a, name).training_step, model(b, name).training_step) << name;
    }
    for (const char* key : {"steps", "samples_seen", "loss_first", "loss_last", "validation_loss", "best_step",
                            "best_validation_loss", "epochs"})
      EXPECT_EQ(learner(a)[key], learner(b)[key]) << key;
    // The reports too: none is lost, none is there twice.
    const auto lines = read_metrics(scratch_ / (a + "/metrics.jsonl")),
               others = read_metrics(scratch_ / (b + "/metrics.jsonl"));
    ASSERT_EQ(lines.size(), others.size());
    for (std::size_t k = 0; k < lines.size(); ++k)
      for (const char* key : {"kind", "step", "loss"}) EXPECT_EQ(lines[k][key], others[k][key]) << k;
    EXPECT_TRUE(datasets_of(checkpoints(a).at(0)) == datasets_of(checkpoints(b).at(0)));
  }

  /// Ends a training with a signal once its metrics have `lines` lines.
  Job interrupt(const std::string& folder, std::size_t lines, int signal_number, const std::string& settings) const {
    auto job = std::async(std::launch::async, [&] { return train(folder, 1, settings); });
    const auto end = std::chrono::steady_clock::now() + 60s;
    const std::string file = scratch_ / (folder + "/metrics.jsonl");
    const auto count = [&] {
      const std::string text = read_text(file);
      return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    };
    while (count() < lines && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(2ms);
    for (const auto& [process, rank] : processes_of(scratch_)) kill(process, signal_number);
    return job.get();
  }

  Scratch scratch_{"offline-training"};
  mutable int jobs_ = 0;
};

TEST_F(OfflineTraining, LearnsByEpochsOnAnyNumberOfRanks) {
  const Job job = train("one", 1, " --set learner.epochs=20 --set learner.steps=1");
  ASSERT_EQ(job.code, 0) << job.err;
  const json one = learner("one");
  EXPECT_EQ(one["steps"], 20 * kTraining / 8);
  EXPECT_EQ(one["samples_seen"], 20 * kTraining);
  EXPECT_EQ(one["epochs"], 20.0);
  EXPECT_EQ(one["training_samples"], kTraining);
  EXPECT_EQ(one["validation_samples"], kHeldOut);
  EXPECT_EQ(one["stopped_early"], false);
  const auto validations = read_metrics(scratch_ / "one/metrics.jsonl", "validate");
  ASSERT_GE(validations.size(), 3u);
  // As for the coupled run, which does 150 steps.
  EXPECT_LT(one["best_validation_loss"], 0.9 * validations[0]["persistence"].get<double>());
  double best = 1e9;
  for (const json& line : validations) best = std::min(best, line["loss"].get<double>());
  EXPECT_EQ(one["best_validation_loss"], best);
  EXPECT_EQ(model("one").training_step, one["best_step"]);
  EXPECT_EQ(model("one", "model-last.h5").training_step, one["steps"]);
  EXPECT_NE(job.err.find("samples/s"), std::string::npos) << job.err;

  // The same global batches, and gradients are summed exactly. Losses over held-out samples are summed up rank by rank.
  for (int ranks : {2, 4}) {
    const std::string folder = std::to_string(ranks);
    const Job shared = train(folder, ranks, " --set learner.epochs=20 --set learner.steps=1");
    ASSERT_EQ(shared.code, 0) << shared.err;
    EXPECT_TRUE(model(folder).weights == model("one").weights);
    EXPECT_TRUE(model(folder, "model-last.h5").weights == model("one", "model-last.h5").weights);
    EXPECT_TRUE(model(folder).normaliser == model("one").normaliser);
    EXPECT_EQ(learner(folder)["loss_first"], one["loss_first"]);
    EXPECT_NEAR(learner(folder)["validation_loss"].get<double>(), one["validation_loss"].get<double>(), 1e-12);
    EXPECT_EQ(learner(folder)["samples_seen"], one["samples_seen"]);
    EXPECT_EQ(learner(folder)["reuse_factor"], one["reuse_factor"]);
  }
}

TEST_F(OfflineTraining, MemoryForSamplesDoesNotChangeTheResult) {
  ASSERT_EQ(train("large").code, 0);
  // Two batches ahead, and held-out samples read again at every validation.
  ASSERT_EQ(train("small", 1, " --set learner.read_ahead=16 --set learner.reservoir=8 --set learner.watermark=1").code,
            0);
  expect_same_training("large", "small");
}

TEST_F(OfflineTraining, GoesOnAfterKillsAtAnyMoment) {
  ASSERT_EQ(train("whole").code, 0);
  const std::string settings = " --set learner.resume=auto --set learner.checkpoint_minutes=1e-4";
  // Lines of the reports after which the kill comes, three in a row, then the rest in peace.
  for (std::uint64_t round = 0; round < 2; ++round) {
    const std::string folder = fmt::format("round-{}", round);
    for (std::uint64_t k = 0; k < 2; ++k) {
      const std::size_t lines = 2 + index_at(17, RandomStream::self_test, 2 * round + k, 18) + 18 * k;
      SCOPED_TRACE(fmt::format("round {}, kill {} after {} lines", round, k, lines));
      EXPECT_NE(interrupt(folder, lines, SIGKILL, settings).code, 0);
      EXPECT_LE(checkpoints(folder).size(), 3u);
    }
    EXPECT_FALSE(fs::exists(scratch_ / (folder + "/model.h5")));
    if (round == 1) {  // the newest is damaged: the older one is taken
      const auto left = checkpoints(folder);
      ASSERT_GE(left.size(), 2u);
      std::string bytes = read_text(left[0]);
      bytes[bytes.size() * 2 / 3] ^= 8;
      std::ofstream(left[0], std::ios::binary) << bytes;
      const Job rest = train(folder, 1, settings);
      ASSERT_EQ(rest.code, 0) << rest.err;
      EXPECT_NE(rest.err.find("the checkpoint " + left[0] + " is damaged"), std::string::npos) << rest.err;
      EXPECT_NE(rest.err.find("from " + left[1]), std::string::npos) << rest.err;
    } else {
      const Job rest = train(folder, 1, settings);
      ASSERT_EQ(rest.code, 0) << rest.err;
      EXPECT_NE(rest.err.find("continuing after step"), std::string::npos) << rest.err;
    }
    EXPECT_LE(checkpoints(folder).size(), 2u);
    expect_same_training(folder, "whole");
  }
}

TEST_F(OfflineTraining, SignalLeavesACheckpointAndMisfitsAreRefused) {
  ASSERT_EQ(train("whole").code, 0);
  const Job job = interrupt("part", 12, SIGUSR1, "");
  ASSERT_EQ(job.code, 4) << job.err;
  ASSERT_EQ(checkpoints("part").size(), 1u);
  EXPECT_NE(job.err.find("the checkpoint is " + checkpoints("part")[0]), std::string::npos) << job.err;
  EXPECT_NE(job.err.find("learner.resume=auto"), std::string::npos) << job.err;
  EXPECT_LT(learner("part")["steps"], 400);

  const auto before = contents_of(scratch_ / "part");
  const std::vector<std::pair<std::string, std::vector<std::string>>> misfits = {
      {"surrogate.network.width=32", {"surrogate.network.width = 16", "32"}},
      {"learner.seed=9", {"learner.seed = 1", "9"}},
      {"learner.steps=500", {"learner.steps = 400", "500"}},
      {"learner.validation=[1983-01]", {"other samples"}}};
  for (const auto& [setting, words] : misfits) {
    SCOPED_TRACE(setting);
    const Job refused = train("part", 1, " --set learner.resume=auto --set " + setting);
    EXPECT_EQ(refused.code, 2) << refused.err;
    EXPECT_NE(refused.err.find("training-"), std::string::npos) << refused.err;
    for (const std::string& word : words) EXPECT_NE(refused.err.find(word), std::string::npos) << refused.err;
  }
  EXPECT_TRUE(contents_of(scratch_ / "part") == before);

  const Job rest = train("part", 1, " --set learner.resume=auto");
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_GT(learner("part")["resumed_step"], 0);
  expect_same_training("part", "whole");
}

// In the stream's order the reservoir's past is gone through again.
TEST_F(OfflineTraining, StreamOrderGoesOnToo) {
  const std::string settings = " --set learner.order=stream --set learner.steps=150 --set learner.resume=auto";
  EXPECT_EQ(interrupt("stream", 6, SIGTERM, settings).code, 4);
  const Job rest = train("stream", 1, settings);
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_NE(rest.err.find("continuing after step"), std::string::npos) << rest.err;
  EXPECT_TRUE(model("stream").weights == Model::load(small_run().folder + "/model.h5").weights);
  EXPECT_FALSE(fs::exists(scratch_ / "stream/model-last.h5"));
}

TEST_F(OfflineTraining, StopsEarlyAndKeepsTheBest) {
  // A rate far too high: the loss on held-out months soon stops falling.
  const Job job = train("early", 1,
                        " --set learner.learning_rate=0.03 --set learner.validate_every=5 --set learner.patience=3"
                        " --set learner.ema=0");
  ASSERT_EQ(job.code, 0) << job.err;
  const json l = learner("early");
  EXPECT_EQ(l["stopped_early"], true);
  EXPECT_LT(l["steps"], 400);
  EXPECT_EQ(l["best_step"].get<int>() + 3 * 5, l["steps"].get<int>());
  EXPECT_EQ(model("early").training_step, l["best_step"]);
  EXPECT_EQ(model("early", "model-last.h5").training_step, l["steps"]);
  EXPECT_LT(l["best_validation_loss"], l["validation_loss"]);
  EXPECT_NE(job.err.find("stopped early"), std::string::npos) << job.err;
}

TEST_F(OfflineTraining, BeginsWithAModel) {
  const std::string from = " --from " + small_run().folder + "/model.h5 --set learner.steps=40";
  const Job job = train("from", 1, from);
  ASSERT_EQ(job.code, 0) << job.err;
  const Model start = Model::load(small_run().folder + "/model.h5");
  EXPECT_TRUE(model("from").normaliser == start.normaliser);
  // It begins where the coupled run ended.
  const auto validations = read_metrics(scratch_ / "from/metrics.jsonl", "validate");
  const double ended = small_run().summary()["learner"]["validation_loss"];
  EXPECT_EQ(validations[0]["step"], 0);
  EXPECT_NEAR(validations[0]["loss"].get<double>(), ended, 1e-12);
  EXPECT_EQ(json::parse(model("from").provenance)["continued_from"]["training_step"], 150);
  EXPECT_FALSE(model("from", "model-last.h5").weights == start.weights);

  const Job wide = train("wide", 1, from + " --set surrogate.network.width=32");
  EXPECT_EQ(wide.code, 2) << wide.err;
  EXPECT_NE(wide.err.find("width 16"), std::string::npos) << wide.err;
  const Job missing = train("missing", 1, " --from /no/model.h5");
  EXPECT_EQ(missing.code, 2) << missing.err;
  EXPECT_NE(missing.err.find("/no/model.h5"), std::string::npos) << missing.err;
}

}  // namespace
}  // namespace tramontane::testing
