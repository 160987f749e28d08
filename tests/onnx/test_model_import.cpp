#include <gtest/gtest.h>

#include <functional>

#include "kernels/errors.hpp"
#include "ml/onnx/graph_evaluator.hpp"
#include "ml/onnx/graph_surrogate.hpp"
#include "ml/onnx/graph_writer.hpp"
#include "ml/onnx/model_import.hpp"
#include "tests/onnx/onnx_fixture.hpp"

namespace tramontane {
namespace {

constexpr std::int64_t kN = testing::kCells;
using Change = std::function<void(onnx::ModelProto&)>;

/// Another program's graph: the tendency of h is -1e-9 times the height's distance from 5000 m, of the velocity -1e-6
/// times the velocity, written as a convolution of one cell.
onnx::ModelProto relaxation() {
  onnx::ModelProto proto;
  proto.set_ir_version(8);
  proto.set_producer_name("another program");
  proto.add_opset_import()->set_version(17);
  onnx::GraphProto& graph = *proto.mutable_graph();
  graph.set_name("relaxation");
  describe_value(*graph.add_input(), "x", {-1, 5, kPanels, kN, kN}, "");
  describe_value(*graph.add_output(), "y", {-1, 4, kPanels, kN, kN}, "");
  GraphWriter writer(graph);
  std::vector<float> weights(20, 0.0f);
  weights[0] = -1e-9f;
  for (int v = 1; v < 4; ++v) weights[v * 5 + v] = -1e-6f;
  writer.node("Conv", "y",
              {"x", writer.constant("w", {4, 5, 1, 1, 1}, weights),
               writer.constant("b", {4}, std::vector<float>{5e-6f, 0, 0, 0})});
  const auto add = [&](const char* key, const char* value) {
    auto& entry = *proto.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  };
  add(onnx_key::kKind, "correction");
  add(onnx_key::kInterval, "3600");
  add(onnx_key::kInputs, "surface_height [m], u_x [m s-1], u_y [m s-1], u_z [m s-1], orography [m]");
  add(onnx_key::kTargets, "h_tendency [m s-1], u_x_tendency [m s-2], u_y_tendency [m s-2], u_z_tendency [m s-2]");
  return proto;
}

void set_metadata(onnx::ModelProto& proto, const std::string& key, const std::string& value) {
  for (auto& entry : *proto.mutable_metadata_props())
    if (entry.key() == key) return entry.set_value(value);
  auto& entry = *proto.add_metadata_props();
  entry.set_key(key);
  entry.set_value(value);
}

/// The sentence with which a file is refused, "" if it is not.
std::string refusal(const std::string& bytes) {
  try {
    onnx_from_bytes(bytes, "file.onnx");
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

std::string refusal_after(const Change& change) {
  onnx::ModelProto proto = relaxation();
  change(proto);
  return refusal(proto.SerializeAsString());
}

void expect_mentions(const std::string& text, std::initializer_list<const char*> parts) {
  EXPECT_EQ(text.find("file.onnx"), 0u) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  for (const char* part : parts) EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(ModelImport, AnotherProgramsGraphIsKnownByItsMetadata) {
  const OnnxModel loaded = onnx_from_bytes(relaxation().SerializeAsString(), "file");
  ASSERT_NE(loaded.graph, nullptr);
  EXPECT_EQ(loaded.model.kind, "correction");
  EXPECT_EQ(loaded.model.network.n, kN);
  EXPECT_EQ(loaded.model.interval_seconds, 3600);
  EXPECT_NO_THROW(loaded.model.require({.kind = "correction",
                                        .n = kN,
                                        .interval_seconds = 3600,
                                        .inputs = sample_inputs(),
                                        .targets = sample_targets()}));
  EXPECT_THROW(loaded.model.require({.n = 2 * kN}), InputError);
}

TEST(ModelImport, RefusesWhatItCanNotUnderstand) {
  EXPECT_EQ(refusal_after([](auto&) {}), "");
  expect_mentions(refusal("no protobuf at all"), {"not an ONNX file or is damaged"});
  expect_mentions(refusal(""), {"holds no graph"});
  const std::string whole = relaxation().SerializeAsString();
  EXPECT_NE(refusal(whole.substr(0, whole.size() / 2)), "");
  for (const char* key : {onnx_key::kKind, onnx_key::kInterval, onnx_key::kInputs, onnx_key::kTargets})
    expect_mentions(refusal_after([&](onnx::ModelProto& p) {
                      auto& list = *p.mutable_metadata_props();
                      for (int k = 0; k < list.size(); ++k)
                        if (list[k].key() == key) return list.DeleteSubrange(k, 1);
                    }),
                    {"metadata lack", key});
  expect_mentions(refusal_after([](auto& p) { set_metadata(p, onnx_key::kInterval, "often"); }), {"often", "seconds"});
  expect_mentions(refusal_after([](auto& p) { set_metadata(p, onnx_key::kInputs, "u, v"); }), {"name [units]"});
  expect_mentions(refusal_after([](auto& p) { set_metadata(p, onnx_key::kInputs, "u [m s-1]"); }),
                  {"shape (-1, 5, 6, 8, 8)", "1 variables"});
  expect_mentions(refusal_after([](auto& p) { set_metadata(p, onnx_key::kBounds, "[1, 2]"); }),
                  {"[1, 2]", "4 targets"});
  expect_mentions(refusal_after([](auto& p) { p.mutable_opset_import(0)->set_version(7); }), {"operator set 7"});
}

TEST(ModelImport, NamesNodesWhoseOperatorsItLacks) {
  expect_mentions(refusal_after([](auto& p) { p.mutable_graph()->mutable_node(0)->set_op_type("LSTM"); }),
                  {"node 'y' (LSTM)", "operator LSTM", "not known"});
  expect_mentions(refusal_after([](auto& p) { p.mutable_graph()->mutable_node(0)->set_domain("com.example"); }),
                  {"node 'y'", "com.example"});
  expect_mentions(refusal_after([](auto& p) { p.mutable_graph()->mutable_node(0)->set_input(1, "nothing"); }),
                  {"node 'y' (Conv)", "'nothing'"});
  expect_mentions(refusal_after([](auto& p) { p.mutable_graph()->mutable_initializer(0)->set_dims(1, 4); }), {"'w'"});
  expect_mentions(refusal_after([](auto& p) {
                    auto& w = *p.mutable_graph()->mutable_initializer(0);
                    w.set_dims(0, 5), w.set_dims(1, 4);
                  }),
                  {"node 'y' (Conv)", "channels"});
}

TEST(ModelImport, SelfTestFindsOtherNumbers) {
  const auto with_output = [](const char* value) {
    return refusal_after([&](auto& p) {
      set_metadata(p, onnx_key::kSelfTest,
                   std::string(R"({"offset": [6000,0,0,0,0], "scale": [0,0,0,0,0], )") +
                       R"("index": [0], "output": [)" + value + "]}");
    });
  };
  EXPECT_EQ(with_output("-1e-6"), "");
  expect_mentions(with_output("-2e-6"), {"self-test"});
  expect_mentions(refusal_after([](auto& p) { set_metadata(p, onnx_key::kSelfTest, "{}"); }), {onnx_key::kSelfTest});
}

TEST(ModelImport, DamagedExportsAreRefused) {
  const testing::OnnxCase c = testing::onnx_cases()[1];
  onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(to_onnx(c.model, c.statics)));
  // A weight, a normaliser's constant, a cell of a halo: each is found, by the one self-test or the other.
  for (const char* name : {"encoder0.a.weights", "input_inverse_std", "halo.level0.border1.cells"}) {
    onnx::ModelProto damaged = proto;
    for (auto& tensor : *damaged.mutable_graph()->mutable_initializer())
      if (tensor.name() == name) {
        std::string& raw = *tensor.mutable_raw_data();
        if (std::string(name).starts_with("halo"))
          for (std::size_t k = 0; k < raw.size(); k += 8) raw[k] = 0;
        else
          for (std::size_t k = 3; k < raw.size(); k += 4) raw[k] = static_cast<char>(raw[k] ^ 1);
      }
    expect_mentions(refusal(damaged.SerializeAsString()), {"self-test"});
  }
  // Without its own description it is a graph like any other, and gives the same.
  auto& list = *proto.mutable_metadata_props();
  for (int k = list.size(); k-- > 0;)
    if (list[k].key() == onnx_key::kModel) list.DeleteSubrange(k, 1);
  const OnnxModel loaded = onnx_from_bytes(proto.SerializeAsString(), "file");
  ASSERT_NE(loaded.graph, nullptr);
  EXPECT_EQ(loaded.model.normaliser.bound, c.model.normaliser.bound);
}

TEST(ParallelGraphSurrogate, EveryRankGetsItsTiles) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  OnnxModel loaded = onnx_from_bytes(relaxation().SerializeAsString(), "file");
  loaded.model.normaliser.bound = {1, 5e-6, 1, 1};
  const Tiling tiling(kN, 2, size);
  GraphSurrogate surrogate(loaded, tiling, MPI_COMM_WORLD, 60);
  const SampleValues whole = testing::synthetic_sample(3).input;
  const std::size_t sphere = tiling.cell_count();
  const auto mine = [&](std::size_t v) {
    return tiles_from_global(tiling, std::vector<float>(whole.begin() + v * sphere, whole.begin() + (v + 1) * sphere),
                             tiling.first_tile(rank), tiling.owned_count(rank));
  };
  std::vector<float> inputs;
  for (std::size_t v = 0; v < 5; ++v) {
    const std::vector<float> part = mine(v);
    inputs.insert(inputs.end(), part.begin(), part.end());
  }
  const std::vector<float> answer = surrogate.evaluate(inputs);
  const std::size_t owned = inputs.size() / 5;
  ASSERT_EQ(answer.size(), 4 * owned);
  for (std::size_t k = 0; k < owned; ++k) {
    EXPECT_NEAR(answer[k], -1e-9 * (inputs[k] - 5000), 1e-12);
    EXPECT_NEAR(answer[owned + k], std::clamp(-1e-6 * inputs[owned + k], -5e-6, 5e-6), 1e-11);
    EXPECT_NEAR(answer[2 * owned + k], -1e-6 * inputs[2 * owned + k], 1e-11);
  }
  EXPECT_THROW(surrogate.evaluate(std::vector<float>(1)), InputError);
  EXPECT_THROW(GraphSurrogate(loaded, Tiling(2 * kN, 2, size), MPI_COMM_WORLD, 60), InputError);
}

}  // namespace
}  // namespace tramontane
