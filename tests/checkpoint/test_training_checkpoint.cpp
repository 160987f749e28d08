// A training on disk: every field comes back, every damage is noticed, every misfit is named.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "kernels/errors.hpp"
#include "src/checkpoint/file_seal.hpp"
#include "src/checkpoint/training_store.hpp"

namespace tramontane {
namespace {

namespace fs = std::filesystem;

class TrainingCheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  static TrainingCheckpoint sample(std::int64_t step = 77) {
    TrainingCheckpoint c;
    c.identity = {12, 3600, 5, 0xfedcba9876543210u, 3, 96, 0x123456789abcdef0u, "learner.seed = 1\nlearner.batch = 8\n",
                  2, true};
    c.version = "1.2.3";
    c.optimiser.step = step;
    c.optimiser.parameters = {1, 2, 3, 4, 5};
    c.optimiser.first_moment = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f};
    c.optimiser.second_moment = {6, 7, 8, 9, 1e-30f};
    c.optimiser.average = {-1, -2, -3, -4, -5};
    c.normaliser.input_mean = {0.1, 0.2};
    c.normaliser.input_std = {1.1, 1.2};
    c.normaliser.target_std = {2.1};
    c.normaliser.bound = {3.1};
    c.normaliser.samples = 55;
    c.progress.loss_first = 1.5;
    c.progress.held_out_loss = 0.25;
    c.progress.is_validated = true;
    c.progress.best_loss = 0.2;
    c.progress.best_step = 60;
    c.progress.since_best = 1;
    c.progress.seconds = 12.5;
    c.progress.rollout_loss_first = 2.5;
    c.progress.rollout_loss = 2.25;
    c.progress.rollouts_lost = 4;
    c.progress.recent_losses = {0.3, 0.29};
    c.progress.best_weights = {9, 8, 7, 6, 5};
    return c;
  }

  /// A deck that writes into this test's folder.
  Deck deck(const std::string& resume = "auto") const {
    Deck d;
    d.output.dir = folder_;
    d.learner.resume = resume;
    return d;
  }
  std::vector<std::string> there() const { return list_training_checkpoints(folder_ + "/training-checkpoints"); }

  std::string folder_ =
      (fs::temp_directory_path() / ("tramontane-training-" + std::to_string(getpid()))).string();
};

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void expect_same(const TrainingCheckpoint& a, const TrainingCheckpoint& b) {
  EXPECT_EQ(a.version, b.version);
  EXPECT_EQ(a.identity.settings, b.identity.settings);
  EXPECT_EQ(a.identity.network, b.identity.network);
  EXPECT_EQ(a.identity.sample_marks, b.identity.sample_marks);
  EXPECT_EQ(a.identity.depends_on_learners, b.identity.depends_on_learners);
  EXPECT_TRUE(a.optimiser == b.optimiser);
  EXPECT_TRUE(a.normaliser == b.normaliser);
  EXPECT_EQ(a.progress.loss_first, b.progress.loss_first);
  EXPECT_EQ(a.progress.held_out_loss, b.progress.held_out_loss);
  EXPECT_EQ(a.progress.is_validated, b.progress.is_validated);
  EXPECT_EQ(a.progress.best_loss, b.progress.best_loss);
  EXPECT_EQ(a.progress.best_step, b.progress.best_step);
  EXPECT_EQ(a.progress.since_best, b.progress.since_best);
  EXPECT_EQ(a.progress.seconds, b.progress.seconds);
  EXPECT_EQ(a.progress.rollout_loss_first, b.progress.rollout_loss_first);
  EXPECT_EQ(a.progress.rollout_loss, b.progress.rollout_loss);
  EXPECT_EQ(a.progress.rollouts_lost, b.progress.rollouts_lost);
  EXPECT_EQ(a.progress.recent_losses, b.progress.recent_losses);
  EXPECT_EQ(a.progress.best_weights, b.progress.best_weights);
}

TEST_F(TrainingCheckpointTest, ComesBackToTheBitAndLeavesNoPart) {
  const std::string path = folder_ + "/training-000000077.h5";
  write_training_checkpoint(path, sample());
  EXPECT_EQ(check_seal(path, MPI_COMM_SELF).damage, "");
  EXPECT_EQ(check_seal(path, MPI_COMM_SELF).format, kTrainingCheckpointFormat);
  expect_same(read_training_checkpoint(path), sample());
  EXPECT_FALSE(fs::exists(path + ".part"));
  const std::string first = bytes_of(path);
  write_training_checkpoint(path, sample());
  EXPECT_EQ(bytes_of(path), first);
  EXPECT_THROW(write_training_checkpoint(folder_ + "/no/folder.h5", sample()), RunError);
}

TEST_F(TrainingCheckpointTest, MisfitsAreNamed) {
  const TrainingCheckpoint c = sample();
  EXPECT_NO_THROW(check_fits(c, c.identity, "x.h5"));
  const auto expect = [&](auto change, const std::vector<std::string>& words) {
    TrainingIdentity own = c.identity;
    change(own);
    try {
      check_fits(c, own, "x.h5");
      ADD_FAILURE() << "no error: " << words.front();
    } catch (const InputError& error) {
      const std::string message = error.what();
      EXPECT_EQ(message.rfind("x.h5 ", 0), 0u) << message;
      EXPECT_NE(message.find("learner.resume=none"), std::string::npos) << message;
      for (const std::string& word : words) EXPECT_NE(message.find(word), std::string::npos) << word << "\n" << message;
    }
  };
  expect([](auto& own) { own.n = 24; }, {"C12", "C24"});
  expect([](auto& own) { own.interval_seconds = 1800; }, {"3600 s", "1800 s"});
  expect([](auto& own) { own.settings = "learner.seed = 1\nlearner.batch = 16\n"; },
         {"learner.batch = 8", "16", "set learner.batch back"});
  expect([](auto& own) { own.parameters = 6; }, {"another network", "5 parameters", "6"});
  expect([](auto& own) { own.network = 0; }, {"another network"});
  expect([](auto& own) { own.initial = 0; }, {"model file", "--from"});
  expect([](auto& own) { own.samples = 72; }, {"96 in all", "72", "archives"});
  expect([](auto& own) { own.sample_marks = 1; }, {"other samples"});
  expect([](auto& own) { own.learners = 3; }, {"2 ranks", "3"});
  TrainingIdentity shuffled = c.identity;
  shuffled.learners = 3;
  shuffled.depends_on_learners = false;
  EXPECT_NO_THROW(check_fits(c, shuffled, "x.h5"));
}

TEST_F(TrainingCheckpointTest, StoreKeepsTwoAndFallsBack) {
  const Deck d = deck();
  {
    TrainingStore store(d, sample().identity, MPI_COMM_SELF);
    EXPECT_FALSE(store.find());
    store.open();
    for (const std::int64_t step : {10, 20, 30}) EXPECT_TRUE(store.write(sample(step)));
    EXPECT_EQ(there().size(), 2u);
    EXPECT_EQ(store.last(), there()[0]);
  }
  {
    TrainingStore store(d, sample().identity, MPI_COMM_SELF);
    EXPECT_EQ(store.find()->optimiser.step, 30);
  }
  std::string bytes = bytes_of(there()[0]);
  bytes[bytes.size() / 2] ^= 4;
  std::ofstream(there()[0], std::ios::binary) << bytes;
  {
    TrainingStore store(d, sample().identity, MPI_COMM_SELF);
    EXPECT_EQ(store.find()->optimiser.step, 20);
    store.open();  // goes on: nothing is moved away
    EXPECT_TRUE(store.write(sample(25)));
    EXPECT_EQ(there().size(), 2u);  // the given-up one of 30 steps is gone
    EXPECT_EQ(store.find()->optimiser.step, 25);
  }
  for (const std::string& path : there()) fs::resize_file(path, 700);
  TrainingStore none(d, sample().identity, MPI_COMM_SELF);
  EXPECT_THROW(none.find(), InputError);

  const Deck anew = deck("none");
  TrainingStore fresh(anew, sample().identity, MPI_COMM_SELF);
  EXPECT_FALSE(fresh.find());
  fresh.open();
  EXPECT_TRUE(there().empty());
  EXPECT_EQ(list_training_checkpoints(folder_ + "/training-checkpoints-earlier").size(), 2u);
}

TEST_F(TrainingCheckpointTest, AFailedWriteKeepsTheEarlierOne) {
  const Deck d = deck();
  TrainingStore store(d, sample().identity, MPI_COMM_SELF);
  store.open();
  EXPECT_TRUE(store.write(sample(10)));
  fs::create_directories(folder_ + "/training-checkpoints/training-000000020.h5.part");  // in the way
  EXPECT_FALSE(store.write(sample(20)));
  EXPECT_EQ(store.find()->optimiser.step, 10);
}

}  // namespace
}  // namespace tramontane
