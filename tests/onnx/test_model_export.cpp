#include <gtest/gtest.h>
#include <onnx/checker.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>

#include "kernels/errors.hpp"
#include "ml/onnx/graph_evaluator.hpp"
#include "ml/onnx/model_import.hpp"
#include "tests/onnx/onnx_fixture.hpp"

namespace tramontane {
namespace {

using testing::OnnxCase;

constexpr std::int64_t kN = testing::kCells;

onnx::ModelProto parsed(const std::string& bytes) {
  onnx::ModelProto proto;
  EXPECT_TRUE(proto.ParseFromString(bytes));
  return proto;
}

TEST(ModelExport, PassesTheCheckerWithStandardOperatorsOnly) {
  for (const OnnxCase& c : testing::onnx_cases()) {
    const onnx::ModelProto proto = parsed(to_onnx(c.model, c.statics));
    EXPECT_NO_THROW(onnx::checker::check_model(proto)) << c.name;
    ASSERT_EQ(proto.opset_import_size(), 1);
    EXPECT_EQ(proto.opset_import(0).domain(), "");
    EXPECT_EQ(proto.opset_import(0).version(), kOnnxOperatorSet);
  }
}

TEST(ModelExport, GraphComputesWhatTheSurrogateDoes) {
  // Round-off of single precision through a dozen layers, which the normalisation of four channels that differ little
  // makes larger: 3e-6 without and 8e-6 with it were measured. A batch of two differs from each alone in nothing.
  for (const OnnxCase& c : testing::onnx_cases()) {
    const GraphEvaluator graph(parsed(to_onnx(c.model, c.statics)));
    std::vector<float> both, expected;
    for (int number : {3, 4}) {
      const SampleValues input = testing::synthetic_sample(number).input;
      const std::vector<float> answer = testing::surrogate_answer(c, input);
      both.insert(both.end(), input.begin(), input.end());
      expected.insert(expected.end(), answer.begin(), answer.end());
    }
    const Tensor result = graph.evaluate(Tensor::of({2, 5, kPanels, kN, kN}, both));
    EXPECT_EQ(result.shape, (Dimensions{2, 4, kPanels, kN, kN}));
    const std::size_t sphere = kPanels * kN * kN;
    int free = 0, clamped = 0;
    for (int v = 0; v < 8; ++v) {  // variable by variable: their scales differ
      const std::vector<float> a(result.real.begin() + v * sphere, result.real.begin() + (v + 1) * sphere);
      const std::vector<float> b(expected.begin() + v * sphere, expected.begin() + (v + 1) * sphere);
      EXPECT_LT(testing::relative_difference(a, b), 2e-5) << c.name << " variable " << v % 4;
      const auto bound = static_cast<float>(c.model.normaliser.bound[v % 4]);
      for (float value : b) (std::abs(value) < bound ? free : clamped)++;
    }
    EXPECT_GT(free, 0) << c.name;
    EXPECT_GT(clamped, 0) << c.name;
  }
}

TEST(ModelExport, ComesBackAsTheSameModel) {
  for (const OnnxCase& c : testing::onnx_cases()) {
    const OnnxModel back = onnx_from_bytes(to_onnx(c.model, c.statics), "file");
    EXPECT_EQ(back.graph, nullptr) << c.name;
    EXPECT_TRUE(back.model == c.model) << c.name;
    ASSERT_TRUE(back.statics);
    EXPECT_TRUE(back.statics->values == c.statics.values && back.statics->axes == c.statics.axes) << c.name;
  }
}

TEST(ModelExport, RefusesOtherStaticFields) {
  OnnxCase c = testing::onnx_cases().front();
  c.statics.values.resize(c.statics.values.size() - 1);
  EXPECT_THROW(to_onnx(c.model, c.statics), InputError);
  c = testing::onnx_cases()[1];
  c.statics.axes.pop_back();
  EXPECT_THROW(to_onnx(c.model, c.statics), InputError);
}

TEST(ModelExport, SavesAndLoadsFiles) {
  const OnnxCase c = testing::onnx_cases().front();
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "tramontane-test-onnx";
  std::filesystem::create_directories(folder);
  save_onnx(c.model, c.statics, folder / "model.onnx");
  EXPECT_FALSE(std::filesystem::exists(folder / "model.onnx.partial"));
  EXPECT_TRUE(load_any_model(folder / "model.onnx") == c.model);
  EXPECT_THROW(save_onnx(c.model, c.statics, folder / "no" / "model.onnx"), RunError);
  EXPECT_THROW(load_onnx(folder / "other.onnx"), InputError);
  std::filesystem::remove_all(folder);
}

/// Writes files for check_with_runtime.py into the folder that the environment names: per case the model, two samples
/// and the surrogate's answers to them.
TEST(RuntimeCases, AreWritten) {
  const char* folder = std::getenv("TRAMONTANE_ONNX_CASES");
  if (!folder) GTEST_SKIP() << "for check_with_runtime.py";
  for (const OnnxCase& c : testing::onnx_cases()) {
    const std::filesystem::path base = std::filesystem::path(folder) / c.name;
    save_onnx(c.model, c.statics, base.string() + ".onnx");
    std::ofstream inputs(base.string() + ".input", std::ios::binary),
        outputs(base.string() + ".output", std::ios::binary);
    const auto write = [](std::ofstream& out, std::span<const float> values) {
      out.write(reinterpret_cast<const char*>(values.data()),
                static_cast<std::streamsize>(values.size() * sizeof(float)));
    };
    for (int number : {3, 4}) {
      const SampleValues input = testing::synthetic_sample(number).input;
      write(inputs, input);
      write(outputs, testing::surrogate_answer(c, input));
    }
  }
}

/// Other programs' files in the folder that the environment names: their self-tests hold what ONNX Runtime computed.
TEST(RuntimeCases, OtherProgramsFilesGiveTheSame) {
  const char* folder = std::getenv("TRAMONTANE_ONNX_FOREIGN");
  if (!folder) GTEST_SKIP() << "for check_with_runtime.py";
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) try {
      const OnnxModel loaded = load_onnx(entry.path());  // throws if its self-test fails
      EXPECT_NE(loaded.graph, nullptr);
      EXPECT_EQ(loaded.model.network.n, kN);
      ++files;
    } catch (const InputError& error) {
      ADD_FAILURE() << error.what();
    }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace tramontane
