// ONNX files from training, and forecasts with them.
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <fstream>

#include "job.hpp"
#include "ml/onnx/model_export.hpp"
#include "ml/onnx/model_import.hpp"
#include "src/coupled/learning.hpp"

namespace tramontane::testing {
namespace {

using nlohmann::json;

class OnnxModelFile : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(small_run().job.code, 0) << small_run().job.err;
    const Model model = Model::load(small_run().folder + "/model.h5");
    ASSERT_TRUE(proto_.ParseFromString(to_onnx(model, surrogate_statics(model.network.n))));
  }
  std::string write(const std::string& name) const {
    const std::string path = scratch_ / name;
    std::ofstream out(path, std::ios::binary);
    EXPECT_TRUE(proto_.SerializeToOstream(&out));
    return path;
  }
  /// As another program's graph: without the description from which a model is made again.
  void make_foreign() {
    auto& list = *proto_.mutable_metadata_props();
    for (int k = list.size(); k-- > 0;)
      if (list[k].key() == onnx_key::kModel) list.DeleteSubrange(k, 1);
  }
  Job forecast(const std::string& model, const std::string& folder, int ranks) const {
    return run_job(scratch_, folder, ranks,
                   "forecast " + small_run().deck + " --set output.dir=" + (scratch_ / folder) +
                       " --set surrogate.model=" + model);
  }

  Scratch scratch_{"onnx"};
  onnx::ModelProto proto_;
};

TEST_F(OnnxModelFile, ForecastsAsTheModelItWasMadeFrom) {
  const Job job = forecast(small_run().folder + "/model.onnx", "own", 1);  // as the run itself wrote it
  ASSERT_EQ(job.code, 0) << job.err;
  EXPECT_EQ(read_json(scratch_ / "own/summary.json")["forecast"]["rmse"], small_run().summary()["forecast"]["rmse"]);
  EXPECT_TRUE(datasets_of(scratch_ / "own/forecast.nc") == datasets_of(small_run().folder + "/forecast.nc"));
}

TEST_F(OnnxModelFile, ForecastsAsAnotherProgramsGraphOnAnyRanks) {
  make_foreign();
  const std::string model = write("foreign.onnx");
  const json expected = small_run().summary()["forecast"]["rmse"].flatten();
  for (const int ranks : {1, 2}) {
    const std::string folder = "foreign" + std::to_string(ranks);
    const Job job = forecast(model, folder, ranks);
    ASSERT_EQ(job.code, 0) << job.err;
    const json rmse = read_json(scratch_ / (folder + "/summary.json"))["forecast"]["rmse"].flatten();
    ASSERT_EQ(rmse.size(), expected.size());
    // Another order of sums in single precision, through a forecast of a few days.
    for (const auto& [key, value] : expected.items()) {
      if (!value.is_number()) continue;
      EXPECT_NEAR(rmse[key].get<double>(), value.get<double>(), 1e-3 * value.get<double>()) << key;
    }
  }
  EXPECT_TRUE(datasets_of(scratch_ / "foreign1/forecast.nc") == datasets_of(scratch_ / "foreign2/forecast.nc"));
}

TEST_F(OnnxModelFile, AnUnknownOperatorIsNamedBeforeAnythingRuns) {
  make_foreign();
  proto_.mutable_graph()->mutable_node(3)->set_op_type("LSTM");
  const Job job = forecast(write("unknown.onnx"), "unknown", 2);
  EXPECT_EQ(job.code, 2) << job.err;
  for (const char* word : {"unknown.onnx", "LSTM", "node '"})
    EXPECT_NE(job.err.find(word), std::string::npos) << job.err;
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "unknown/summary.json"));
  const Job missing = forecast("/no/model.onnx", "missing", 1);
  EXPECT_EQ(missing.code, 2);
  EXPECT_NE(missing.err.find("surrogate.model = /no/model.onnx: there is no such file"), std::string::npos)
      << missing.err;
}

TEST_F(OnnxModelFile, TrainingWritesItAndBeginsWithIt) {
  const auto train = [&](const std::string& folder, const std::string& settings) {
    return run_job(scratch_, folder, 1,
                   "train " + small_run().deck + " --set learner.archives=" + small_run().archive +
                       " --set learner.order=shuffled --set learner.steps=40 --set output.dir=" + (scratch_ / folder) +
                       settings);
  };
  const Job job = train("first", " --set output.onnx=true");
  ASSERT_EQ(job.code, 0) << job.err;
  EXPECT_TRUE(load_any_model(scratch_ / "first/model.onnx") == Model::load(scratch_ / "first/model.h5"));
  const Job second = train("second", " --from " + (scratch_ / "first/model.onnx"));
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "second/model.onnx"));
  make_foreign();
  const Job foreign = train("third", " --from " + write("foreign.onnx"));
  EXPECT_EQ(foreign.code, 2) << foreign.err;
  EXPECT_NE(foreign.err.find("not be trained further"), std::string::npos) << foreign.err;
}

}  // namespace
}  // namespace tramontane::testing
