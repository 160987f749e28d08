/// Models from ONNX files: our own exports, and graphs of other programs that keep the contract of docs/design/onnx.md.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "ml/batch.hpp"
#include "ml/model.hpp"

namespace tramontane {

class GraphEvaluator;

/// What an ONNX file holds.
struct OnnxModel {
  /// Of our own export the whole model. Of another graph what its metadata say of kind, grid, interval, variables and
  /// bounds (none: an empty list); it has no weights then.
  Model model;
  std::optional<StaticFields> statics;                ///< with axes, without areas: what our own export was made with
  std::shared_ptr<const GraphEvaluator> graph = {};  ///< of another program's graph, else null
};

/// Whether a file's name says that it is ONNX.
bool is_onnx(const std::filesystem::path& path);

/// Throws InputError, in one sentence: not ONNX, damaged, no metadata, unknown operator (with its node), another shape
/// of input or output, failed self-test. The whole graph is evaluated once.
OnnxModel onnx_from_bytes(const std::string& bytes, const std::string& source);
OnnxModel load_onnx(const std::filesystem::path& path);

/// The model of a file of either format. Throws InputError as Model::load and load_onnx do, and for other programs'
/// graphs, which have no weights that this program could go on with.
Model load_any_model(const std::filesystem::path& path);

}  // namespace tramontane
