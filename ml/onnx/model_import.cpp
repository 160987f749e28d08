#include "ml/onnx/model_import.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/stubs/logging.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "kernels/errors.hpp"
#include "ml/onnx/graph_evaluator.hpp"
#include "ml/onnx/layer_nodes.hpp"
#include "ml/onnx/model_export.hpp"

namespace tramontane {
namespace {

using nlohmann::json;

std::optional<std::string> metadata(const onnx::ModelProto& proto, const char* key) {
  for (const auto& entry : proto.metadata_props())
    if (entry.key() == key) return entry.value();
  return {};
}

std::string required_metadata(const onnx::ModelProto& proto, const char* key, const char* example) {
  if (const auto value = metadata(proto, key)) return *value;
  throw InputError(fmt::format(
      "its metadata lack {}, without which nobody knows what it is for: add it, for example \"{}\"", key, example));
}

/// Of our exports, and of graphs that were made from them; empty without, or if it is of features that this program
/// does not know.
TrainingDistribution distribution_from(const std::optional<std::string>& text, int n) {
  if (!text) return {};
  TrainingDistribution result;
  try {
    const json d = json::parse(*text);
    if (d.at("features").get<std::string>() != kGuardFeatureNames) return {};
    result = {d.at("n"), d.at("bands"), d.at("mean"), d.at("whitening"), d.at("target_square")};
  } catch (const json::exception& error) {
    throw InputError(fmt::format("its metadata {} can not be read ({})", onnx_key::kDistribution, error.what()));
  }
  if (result.n != n || !result.has_right_sizes())
    throw InputError(fmt::format("its metadata {} are of another grid than its graph: drop them, or export again",
                                 onnx_key::kDistribution));
  return result;
}

std::vector<float> reals_of(const onnx::GraphProto& graph, const std::string& name, std::size_t size) {
  for (const onnx::TensorProto& tensor : graph.initializer())
    if (tensor.name() == name) {
      Tensor value = Tensor::from(tensor);
      if (!value.is_real || value.real.size() != size)
        throw std::runtime_error(fmt::format("its constant {} has the wrong size", name));
      return std::move(value.real);
    }
  throw std::runtime_error(fmt::format("its constant {} is missing", name));
}

/// What LayerNodes and the graph's other parts were made from. Throws std::exception if a part is missing.
OnnxModel own_model(const onnx::ModelProto& proto, const json& d) {
  OnnxModel result;
  Model& m = result.model;
  m.apply_description(d.at("description").get<std::string>());
  m.provenance = metadata(proto, onnx_key::kProvenance).value_or("{}");
  m.normaliser.input_mean = d.at("input_mean").get<std::vector<double>>();
  m.normaliser.input_std = d.at("input_std").get<std::vector<double>>();
  m.normaliser.target_std = d.at("target_std").get<std::vector<double>>();
  m.normaliser.bound = d.at("bound").get<std::vector<double>>();
  m.distribution = distribution_from(metadata(proto, onnx_key::kDistribution), m.network.n);
  m.self_test_input = d.at("self_test_input").get<std::vector<float>>();
  m.self_test_output = d.at("self_test_output").get<std::vector<float>>();
  const onnx::GraphProto& graph = proto.graph();
  for (const ParameterBlock& block : build_graph(m.network).blocks) {
    const std::vector<float> stored = reals_of(graph, block.name, block.size);
    const std::vector<float> ours = weights_from_onnx(block, stored.data());
    m.weights.insert(m.weights.end(), ours.begin(), ours.end());
  }
  m.check_consistent();
  StaticFields statics;
  statics.variables = m.statics;
  const std::size_t n = m.network.n;
  if (!m.statics.empty()) statics.values = reals_of(graph, "static_fields", m.statics.size() * kPanels * n * n);
  if (m.vector_frame == "panel") {
    const std::size_t cells = kPanels * (n + 2) * (n + 2);
    statics.axes.resize(6 * cells);
    for (const int first : {0, 3}) {
      const auto axis = reals_of(graph, first == 0 ? "axes.alpha" : "axes.beta", 3 * cells);
      for (std::size_t cell = 0; cell < cells; ++cell)
        for (int c = 0; c < 3; ++c) statics.axes[cell * 6 + first + c] = axis[c * cells + cell];
    }
  }
  result.statics = std::move(statics);
  return result;
}

/// "name [units], name [units]"
std::vector<Variable> variables_from(const std::string& text, const char* key) {
  std::vector<Variable> variables;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t open = text.find(" [", at), close = text.find(']', at);
    if (open == std::string::npos || close == std::string::npos || close < open + 2)
      throw InputError(fmt::format("its metadata {} = \"{}\" do not read \"name [units], name [units]\"", key, text));
    variables.push_back({text.substr(at, open - at), text.substr(open + 2, close - open - 2), ""});
    at = close + 1;
    while (at < text.size() && (text[at] == ',' || text[at] == ' ')) ++at;
  }
  return variables;
}

double interval_from(const std::string& text) {
  try {
    return std::stod(text);
  } catch (const std::exception&) {
    throw InputError(fmt::format("its metadata {} = \"{}\" are no number of seconds", onnx_key::kInterval, text));
  }
}

std::optional<OnnxSelfTest> self_test_of(const onnx::ModelProto& proto, std::size_t inputs) {
  const auto text = metadata(proto, onnx_key::kSelfTest);
  if (!text) return {};
  OnnxSelfTest test;
  try {
    const json d = json::parse(*text);
    test = {d.at("offset"), d.at("scale"), d.at("index"), d.at("output")};
  } catch (const json::exception& error) {
    throw InputError(fmt::format("its metadata {} can not be read ({})", onnx_key::kSelfTest, error.what()));
  }
  if (test.offset.size() != inputs || test.scale.size() != inputs || test.index.size() != test.output.size())
    throw InputError(fmt::format("its metadata {} do not fit {} inputs", onnx_key::kSelfTest, inputs));
  return test;
}

OnnxModel foreign_model(onnx::ModelProto proto) {
  OnnxModel result;
  Model& m = result.model;
  m.kind = required_metadata(proto, onnx_key::kKind, "correction");
  m.interval_seconds = interval_from(required_metadata(proto, onnx_key::kInterval, "3600"));
  m.inputs =
      variables_from(required_metadata(proto, onnx_key::kInputs, "surface_height [m], u_x [m s-1]"), onnx_key::kInputs);
  m.targets = variables_from(required_metadata(proto, onnx_key::kTargets, "h_tendency [m s-1]"), onnx_key::kTargets);
  m.provenance = metadata(proto, onnx_key::kProvenance).value_or("{}");
  m.software = proto.producer_name() + " " + proto.producer_version();
  if (const auto bounds = metadata(proto, onnx_key::kBounds)) {
    const json list = json::parse(*bounds, nullptr, false);
    if (!list.is_array() || list.size() != m.targets.size() ||
        !std::all_of(list.begin(), list.end(), [](const json& b) { return b.is_number(); }))
      throw InputError(fmt::format("its metadata {} = {} are not one number for each of {} targets", onnx_key::kBounds,
                                   *bounds, m.targets.size()));
    m.normaliser.bound = list.get<std::vector<double>>();
  }
  const auto test = self_test_of(proto, m.inputs.size());
  const auto distribution = metadata(proto, onnx_key::kDistribution);
  auto graph = std::make_shared<const GraphEvaluator>(std::move(proto));
  const Dimensions shape = graph->input_shape();
  const std::int64_t inputs = std::ssize(m.inputs), n = shape.size() == 5 ? shape[4] : -1;
  if (shape.size() != 5 || shape[0] > 1 || shape[1] != inputs || shape[2] != kPanels || shape[3] != n || n < 1)
    throw InputError(
        fmt::format("its input has the shape ({}) where (batch, {} variables, {} panels, n, n) is expected",
                    fmt::join(shape, ", "), inputs, kPanels));
  m.network.type = "onnx";
  m.network.n = static_cast<int>(n);
  m.network.inputs = static_cast<int>(inputs);
  m.network.outputs = static_cast<int>(m.targets.size());
  const std::vector<float> input = test ? test->input(m.network.n) : std::vector<float>(inputs * kPanels * n * n, 0.0f);
  m.distribution = distribution_from(distribution, m.network.n);
  const Tensor output = graph->evaluate(Tensor::of({1, inputs, kPanels, n, n}, input));
  const Dimensions expected = {1, std::ssize(m.targets), kPanels, n, n};
  if (output.shape != expected)
    throw InputError(fmt::format("its output has the shape ({}) where ({}) is expected", fmt::join(output.shape, ", "),
                                 fmt::join(expected, ", ")));
  if (test) test->check(output.real);
  result.graph = std::move(graph);
  return result;
}

OnnxModel checked_model(onnx::ModelProto proto) {
  if (proto.graph().node_size() == 0) throw InputError("it holds no graph: it is no ONNX file or is truncated");
  if (const auto text = metadata(proto, onnx_key::kModel)) {
    OnnxModel own;
    try {
      own = own_model(proto, json::parse(*text));
    } catch (const std::exception& error) {
      throw InputError(fmt::format("it lacks a part of a model of this program ({}): copy it again", error.what()));
    }
    // A graph that someone changed computes something else than the model: then it is the graph that counts.
    onnx::GraphProto again;
    write_model_graph(own.model, *own.statics, again);
    if (again.SerializeAsString() == proto.graph().SerializeAsString()) {
      own.model.check_self_test();
      return own;
    }
  }
  return foreign_model(std::move(proto));
}

}  // namespace

bool is_onnx(const std::filesystem::path& path) {
  return path.extension() == ".onnx";
}

OnnxModel onnx_from_bytes(const std::string& bytes, const std::string& source) {
  onnx::ModelProto proto;
  {
    const google::protobuf::LogSilencer quiet;  // our own sentence is enough
    if (!proto.ParseFromString(bytes))
      throw InputError(fmt::format("{} is not an ONNX file or is damaged: copy it again or name another", source));
  }
  try {
    return checked_model(std::move(proto));
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}: {}", source, error.what()));
  } catch (const std::exception& error) {  // extents that no memory holds, for example
    throw InputError(fmt::format("{} can not be executed ({}): name another", source, error.what()));
  }
}

OnnxModel load_onnx(const std::filesystem::path& path) {
  std::error_code problem;
  const auto size = std::filesystem::file_size(path, problem);
  if (problem)
    throw InputError(
        fmt::format("the model file {} cannot be read ({}): check surrogate.model", path.string(), problem.message()));
  std::string bytes(size, '\0');
  std::ifstream in(path, std::ios::binary);
  in.read(bytes.data(), static_cast<std::streamsize>(size));
  if (!in)
    throw InputError(fmt::format("the model file {} cannot be read to its end: check surrogate.model", path.string()));
  return onnx_from_bytes(bytes, "the model file " + path.string());
}

Model load_any_model(const std::filesystem::path& path) {
  if (!is_onnx(path)) return Model::load(path);
  OnnxModel loaded = load_onnx(path);
  if (loaded.graph)
    throw InputError(
        fmt::format("the model file {} holds a graph of {}, which can forecast but not be trained further "
                    "here: name a model of this program",
                    path.string(), loaded.model.software));
  return loaded.model;
}

}  // namespace tramontane
