#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "kernels/errors.hpp"
#include "tests/ml/learner_fixture.hpp"

namespace tramontane {
namespace {

using testing::lively_model;
using Bytes = std::vector<std::byte>;

/// The message of the InputError that loading gives, or "" if it loads.
std::string rejection(const Bytes& bytes) {
  try {
    Model::from_bytes(bytes, "the model");
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

bool mentions(const std::string& text, const char* what) {
  return text.find(what) != std::string::npos;
}

class ModelFile : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("tramontane_model_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(ModelFile, RoundTripIsExact) {
  Model model = lively_model();
  model.provenance = R"({"months": [198301, 199107], "note": "ünïcode"})";
  model.training_step = 1234;
  const Bytes bytes = model.to_bytes();
  EXPECT_EQ(Model::from_bytes(bytes, "memory"), model);
  const auto path = folder_ / "a.h5";
  model.save(path);
  EXPECT_EQ(Model::load(path), model);
  // The same bytes even a second later: the image carries no time.
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_TRUE(Model::load(path).to_bytes() == bytes);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a.h5.partial"));
}

// One bit of every byte, the eight bits of a byte by turns, and every bit of the header.
TEST_F(ModelFile, AnyFlippedBitIsDetected) {
  Bytes bytes = lively_model(2).to_bytes();
  std::size_t unnoticed = 0;
  auto flip = [&](std::size_t at, std::size_t bit) {
    bytes[at] ^= std::byte(1 << bit);
    unnoticed += rejection(bytes).empty();
    bytes[at] ^= std::byte(1 << bit);
  };
  for (std::size_t at = 0; at < bytes.size(); ++at) flip(at, at % 8);
  for (std::size_t bit = 0; bit < 8 * 512; ++bit) flip(bit / 8, bit % 8);
  EXPECT_EQ(unnoticed, 0u) << "of " << bytes.size() << " bytes";
  EXPECT_EQ(rejection(bytes), "");
}

TEST_F(ModelFile, TruncationAndForeignFilesAreNamed) {
  const Bytes bytes = lively_model(2).to_bytes();
  for (std::size_t size : {std::size_t{0}, std::size_t{100}, std::size_t{512}}) {
    EXPECT_TRUE(mentions(rejection(Bytes(bytes.begin(), bytes.begin() + size)), "truncated")) << size;
  }
  EXPECT_TRUE(mentions(rejection(Bytes(bytes.begin(), bytes.end() - 1)), "truncated"));
  Bytes longer = bytes;
  longer.push_back(std::byte{0});
  EXPECT_TRUE(mentions(rejection(longer), "checksum"));
  Bytes other = bytes;
  const std::string text(reinterpret_cast<const char*>(bytes.data()), 64);
  other[text.find("version 1") + 8] = std::byte{'7'};
  EXPECT_TRUE(mentions(rejection(other), "version 7"));
  EXPECT_TRUE(mentions(rejection(Bytes(4000, std::byte{'x'})), "not a model file"));
  EXPECT_THROW(Model::load(folder_ / "missing.h5"), InputError);
  EXPECT_THROW(Model::load(folder_), InputError);
  EXPECT_THROW(lively_model(2).save(folder_ / "no" / "such" / "folder.h5"), RunError);
}

TEST_F(ModelFile, FailedSelfTestIsNamed) {
  Model model = lively_model(2);
  model.self_test_output[5] += 1;
  EXPECT_TRUE(mentions(rejection(model.to_bytes()), "self-test"));
  model = lively_model(2);
  model.weights[3] += 0.5f;
  EXPECT_TRUE(mentions(rejection(model.to_bytes()), "self-test"));
  model = lively_model(2);
  model.weights[3] = NAN;
  EXPECT_TRUE(mentions(rejection(model.to_bytes()), "weights are not finite"));
}

TEST_F(ModelFile, ContradictionsAreNotWritten) {
  Model model = lively_model(2);
  model.weights.pop_back();
  EXPECT_THROW(model.to_bytes(), InputError);
  model = lively_model(2);
  model.normaliser.bound.pop_back();
  EXPECT_THROW(model.to_bytes(), InputError);
}

TEST_F(ModelFile, AnotherRunsModelIsRefused) {
  const Model model = lively_model(2);
  ModelExpectation run;
  run.kind = "correction";
  run.n = 8;
  run.interval_seconds = 3600;
  run.inputs = sample_inputs();
  run.targets = sample_targets();
  run.statics = model.statics;
  EXPECT_NO_THROW(model.require(run));
  auto refused = [&](auto change) {
    ModelExpectation other = run;
    change(other);
    EXPECT_THROW(model.require(other), InputError);
  };
  refused([](ModelExpectation& e) { e.kind = "emulator"; });
  refused([](ModelExpectation& e) { e.n = 24; });
  refused([](ModelExpectation& e) { e.interval_seconds = 1800; });
  refused([](ModelExpectation& e) { e.inputs->pop_back(); });
  refused([](ModelExpectation& e) { (*e.targets)[0].units = "km"; });
  refused([](ModelExpectation& e) { (*e.statics)[0].name = "latitude"; });
}

}  // namespace
}  // namespace tramontane
