#include "ml/onnx/model_export.hpp"

#include <fmt/format.h>
#include <onnx/checker.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/errors.hpp"
#include "ml/layers/layer_kind.hpp"
#include "ml/onnx/layer_nodes.hpp"
#include "ml/surrogate.hpp"

namespace tramontane {
namespace {

using nlohmann::json;

/// Constants that stand for the grid's geometry; the reader takes them from there.
constexpr const char* kStatics = "static_fields";
constexpr const char* kAlpha = "axes.alpha";
constexpr const char* kBeta = "axes.beta";

std::vector<float> in_single(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

std::vector<float> inverses(const std::vector<double>& values) {
  std::vector<float> result;
  for (double v : values) result.push_back(static_cast<float>(1 / v));
  return result;
}

std::string names_of(const std::vector<Variable>& variables) {
  std::string text;
  for (const Variable& v : variables) text += (text.empty() ? "" : ", ") + v.name + " [" + v.units + "]";
  return text;
}

/// The graph of a model on the whole sphere, in the order in which Surrogate::evaluate works.
class ModelNodes {
 public:
  ModelNodes(const Model& model, const StaticFields& statics, onnx::GraphProto& proto)
      : model_(model),
        statics_(statics),
        graph_(build_graph(whole_panels(model.network))),
        writer_(proto),
        layers_(writer_, graph_, model.weights, model.network.n),
        turns_(model.vector_frame == "panel") {
    if (turns_) write_axes();
  }

  void write() {
    const std::string fields = with_statics(normalised());
    std::vector<std::string> values;
    for (int k = 0; k < static_cast<int>(graph_.nodes.size()); ++k) {
      const NetworkNode& node = graph_.nodes[k];
      const int border = layer_kind(node.kind).border(node);
      std::vector<std::string> sources;
      for (const NetworkSource& s : node.sources) {
        const std::string from = s.node < 0 ? fields : values[s.node];
        const std::string name = fmt::format("{}.source{}", node.name, sources.size());
        sources.push_back(border > 0 ? layers_.padded(name, from, s.link, node.level, border) : from);
        if (s.node < 0 && turns_) sources.back() = in_panel_frame(sources.back(), border);
      }
      values.push_back(layers_.layer(k, sources));
    }
    in_physical_units(turns_ ? in_cartesian(values.back()) : values.back());
  }

 private:
  static NetworkSpec whole_panels(NetworkSpec spec) {
    spec.tiles_per_edge = 1;
    return spec;
  }
  std::int64_t edge() const { return model_.network.n; }
  Dimensions per_channel(std::size_t channels) const { return {1, static_cast<std::int64_t>(channels), 1, 1, 1}; }

  std::string normalised() {
    const Normaliser& scale = model_.normaliser;
    const Dimensions shape = per_channel(model_.inputs.size());
    const std::string anomaly = writer_.node(
        "Sub", "anomaly", {kOnnxInput, writer_.constant("input_mean", shape, in_single(scale.input_mean))});
    return writer_.node("Mul", "normalised",
                        {anomaly, writer_.constant("input_inverse_std", shape, inverses(scale.input_std))});
  }

  /// Static fields are the same in every sample: they are repeated along the batch.
  std::string with_statics(const std::string& value) {
    if (statics_.variables.empty()) return value;
    const Dimensions shape = {static_cast<std::int64_t>(statics_.variables.size()), kPanels, edge(), edge()};
    const std::string constant = writer_.constant(kStatics, {1, shape[0], kPanels, edge(), edge()}, statics_.values);
    const std::string batch = writer_.node("Shape", "batch", {kOnnxInput}, {{"start", 0}, {"end", 1}});
    const std::string whole =
        writer_.concat("static_fields.shape", {batch, writer_.constant("static_fields.sample", {4}, shape)}, 0);
    return writer_.concat("network_input", {value, writer_.node("Expand", "static_fields.batch", {constant, whole})},
                          1);
  }

  void write_axes() {
    const std::int64_t extent = edge() + 2;
    const std::size_t cells = kPanels * extent * extent;
    if (statics_.axes.size() != cells * 6)
      throw InputError(fmt::format("the table of panel axes holds {} values where C{} needs {}", statics_.axes.size(),
                                   edge(), cells * 6));
    for (const int first : {0, 3}) {
      std::vector<float> axis(3 * cells);
      for (std::size_t cell = 0; cell < cells; ++cell)
        for (int c = 0; c < 3; ++c) axis[c * cells + cell] = statics_.axes[cell * 6 + first + c];
      writer_.constant(first == 0 ? kAlpha : kBeta, {1, 3, kPanels, extent, extent}, axis);
    }
    for (const char* name : {kAlpha, kBeta})
      writer_.slice(fmt::format("{}.cells", name), name, {1, 1}, {extent - 1, extent - 1}, {3, 4});
  }

  /// Channels [begin, end).
  std::string channels(const std::string& name, const std::string& value, std::int64_t begin, std::int64_t end) {
    return writer_.slice(name, value, {begin}, {end}, {1});
  }
  std::string sum_of_channels(const std::string& name, const std::string& value) {
    return writer_.node("ReduceSum", name, {value, writer_.constant("channel_axis", {1}, std::vector<std::int64_t>{1})},
                        {{"keepdims", 1}});
  }

  /// PanelFrames::to_panel. Beyond the border the axes are those of the extended panel.
  std::string in_panel_frame(const std::string& value, int border) {
    const std::string suffix = border > 0 ? "" : ".cells";
    const std::int64_t first = kInputVector, count = graph_.inputs;
    const std::string vector = channels("vector", value, first, first + 3);
    std::vector<std::string> parts;
    if (first > 0) parts.push_back(channels("before_vector", value, 0, first));
    for (const char* axis : {kAlpha, kBeta}) {
      const std::string name = fmt::format("vector_along_{}", axis);
      parts.push_back(sum_of_channels(name, writer_.node("Mul", name + ".products", {vector, axis + suffix})));
    }
    const std::string squares = writer_.node("Mul", "vector_squares", {vector, vector});
    parts.push_back(writer_.node("Sqrt", "vector_magnitude", {sum_of_channels("vector_square", squares)}));
    if (first + 3 < count) parts.push_back(channels("behind_vector", value, first + 3, count));
    return writer_.concat("input_in_panel_frames", parts, 1);
  }

  /// PanelFrames::to_cartesian.
  std::string in_cartesian(const std::string& value) {
    const std::int64_t first = kTargetVector, count = model_.network.outputs;
    std::vector<std::string> parts, turned;
    if (first > 0) parts.push_back(channels("target_before_vector", value, 0, first));
    for (const auto& [axis, at] : {std::pair{kAlpha, first}, std::pair{kBeta, first + 1}}) {
      const std::string along = channels(fmt::format("target_along_{}", axis), value, at, at + 1);
      turned.push_back(writer_.node("Mul", along + ".vector", {along, std::string(axis) + ".cells"}));
    }
    parts.push_back(writer_.node("Add", "target_vector", turned));
    if (first + 3 < count) parts.push_back(channels("target_behind_vector", value, first + 3, count));
    return writer_.concat("target_cartesian", parts, 1);
  }

  void in_physical_units(const std::string& value) {
    const Normaliser& scale = model_.normaliser;
    const Dimensions shape = per_channel(model_.targets.size());
    std::vector<float> bound = in_single(scale.bound), lower;
    for (float b : bound) lower.push_back(-b);
    const std::string physical =
        writer_.node("Mul", "physical", {value, writer_.constant("target_std", shape, in_single(scale.target_std))});
    const std::string above =
        writer_.node("Max", "bounded_below", {physical, writer_.constant("lower_bound", shape, lower)});
    writer_.node("Min", kOnnxOutput, {above, writer_.constant("upper_bound", shape, bound)});
  }

  const Model& model_;
  const StaticFields& statics_;
  NetworkGraph graph_;
  GraphWriter writer_;
  LayerNodes layers_;
  bool turns_;
};

/// What our own inference says to the self-test's input, at places spread over all targets and panels.
OnnxSelfTest make_self_test(const Model& model, const StaticFields& statics) {
  OnnxSelfTest test;
  test.offset = model.normaliser.input_mean;
  test.scale = model.normaliser.input_std;
  const int n = model.network.n;
  Surrogate surrogate(model, Tiling(n, 1, 1), MPI_COMM_SELF, "auto", 300, statics.axes);
  const std::vector<float> whole = surrogate.evaluate(test.input(n), statics.values);
  const std::int64_t size = static_cast<std::int64_t>(whole.size()), count = std::min<std::int64_t>(size, 499);
  for (std::int64_t k = 0; k < count; ++k) {
    test.index.push_back(k * size / count);
    test.output.push_back(whole[test.index.back()]);
  }
  return test;
}

void add_metadata(const Model& model, const OnnxSelfTest& test, onnx::ModelProto& proto) {
  const auto add = [&](const char* key, const std::string& value) {
    auto& entry = *proto.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  };
  const Normaliser& scale = model.normaliser;
  add(onnx_key::kKind, model.kind);
  add(onnx_key::kInterval, fmt::format("{}", model.interval_seconds));
  add(onnx_key::kInputs, names_of(model.inputs));
  add(onnx_key::kTargets, names_of(model.targets));
  add(onnx_key::kBounds, json(scale.bound).dump());
  add(onnx_key::kSelfTest,
      json{{"offset", test.offset}, {"scale", test.scale}, {"index", test.index}, {"output", test.output}}.dump());
  add(onnx_key::kProvenance, model.provenance);
  add(onnx_key::kModel, json{{"description", model.description()},
                             {"input_mean", scale.input_mean},
                             {"input_std", scale.input_std},
                             {"target_std", scale.target_std},
                             {"bound", scale.bound},
                             {"self_test_input", model.self_test_input},
                             {"self_test_output", model.self_test_output}}
                            .dump());
  // By itself, so that it stays with a graph that someone changed.
  if (const TrainingDistribution& d = model.distribution; !d.empty())
    add(onnx_key::kDistribution, json{{"n", d.n},
                                      {"bands", d.bands},
                                      {"features", kGuardFeatureNames},
                                      {"mean", d.mean},
                                      {"whitening", d.whitening},
                                      {"target_square", d.target_square}}
                                     .dump());
}

}  // namespace

std::vector<float> OnnxSelfTest::input(int n) const {
  const std::size_t cells = static_cast<std::size_t>(kPanels) * n * n;
  std::vector<float> values(offset.size() * cells);
  for (std::size_t k = 0; k < values.size(); ++k)
    values[k] = static_cast<float>(offset[k / cells] + scale[k / cells] * std::sin(static_cast<double>(k)));
  return values;
}

void OnnxSelfTest::check(const std::vector<float>& whole) const {
  double largest = 0, difference = 0;
  for (std::size_t k = 0; k < index.size(); ++k) {
    if (index[k] < 0 || index[k] >= static_cast<std::int64_t>(whole.size()))
      throw InputError(fmt::format("its self-test names place {} of {} values", index[k], whole.size()));
    const double here = std::abs(static_cast<double>(whole[index[k]]) - output[k]);
    largest = std::max(largest, std::abs(static_cast<double>(output[k])));
    difference = std::isfinite(here) ? std::max(difference, here) : INFINITY;
  }
  if (difference > 1e-4 * largest)
    throw InputError(
        fmt::format("it fails its self-test: the graph's result differs by {:.3g} from the {:.3g} that was stored with "
                    "it, so the file is damaged or this build does not compute what was meant",
                    difference, largest));
}

void write_model_graph(const Model& model, const StaticFields& statics, onnx::GraphProto& graph) {
  const std::int64_t n = model.network.n;
  graph.set_name("tramontane_" + model.kind);
  describe_value(*graph.add_input(), kOnnxInput, {-1, static_cast<std::int64_t>(model.inputs.size()), kPanels, n, n},
                 "(batch, variable, panel, y, x): " + names_of(model.inputs));
  describe_value(*graph.add_output(), kOnnxOutput, {-1, static_cast<std::int64_t>(model.targets.size()), kPanels, n, n},
                 "(batch, variable, panel, y, x): " + names_of(model.targets));
  ModelNodes(model, statics, graph).write();
}

std::string to_onnx(const Model& model, const StaticFields& statics) {
  model.check_consistent();
  const std::size_t cells = static_cast<std::size_t>(kPanels) * model.network.n * model.network.n;
  if (statics.variables.size() != model.statics.size() || statics.values.size() != cells * model.statics.size())
    throw InputError(fmt::format("the model was trained with {} static fields on C{} but {} values of {} are there",
                                 model.statics.size(), model.network.n, statics.values.size(),
                                 statics.variables.size()));
  onnx::ModelProto proto;
  proto.set_ir_version(kOnnxIrVersion);
  proto.set_producer_name("tramontane");
  proto.set_producer_version(model.software);
  proto.set_doc_string(
      fmt::format("Correction of a coarse solver on the equiangular cubed sphere C{}: fields of the whole sphere in, "
                  "tendencies over "
                  "{} s out, in physical units, as cell averages in the order (batch, variable, panel, y, x).",
                  model.network.n, model.interval_seconds));
  auto& set = *proto.add_opset_import();
  set.set_domain("");
  set.set_version(kOnnxOperatorSet);
  write_model_graph(model, statics, *proto.mutable_graph());
  add_metadata(model, make_self_test(model, statics), proto);
  try {
    onnx::checker::check_model(proto);
  } catch (const std::exception& error) {
    throw RunError(fmt::format("the model as ONNX does not pass ONNX' checker: {}", error.what()));
  }
  std::string bytes;
  if (!proto.SerializeToString(&bytes))
    throw RunError("the model could not be written as ONNX: its format ends at 2 GB");
  return bytes;
}

void save_onnx(const Model& model, const StaticFields& statics, const std::filesystem::path& path) {
  const std::string bytes = to_onnx(model, statics), aside = path.string() + ".partial";
  std::ofstream out(aside, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  std::error_code problem;
  if (out) std::filesystem::rename(aside, path, problem);
  if (!out || problem) {
    const std::string reason = problem ? problem.message() : std::strerror(errno);
    std::filesystem::remove(aside, problem);
    throw RunError(fmt::format("the model file {} could not be written: {}", path.string(), reason));
  }
}

}  // namespace tramontane
