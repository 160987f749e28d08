/// A trained network as an ONNX file that any runtime can execute.
#pragma once

#include <filesystem>
#include <string>

#include "ml/batch.hpp"
#include "ml/model.hpp"

namespace tramontane {

/// Operator set and version of the format that are written: those of ONNX 1.12, which all runtimes since 2022 read.
inline constexpr int kOnnxOperatorSet = 17;
inline constexpr int kOnnxIrVersion = 8;

/// Names of the graph's only input (batch, inputs, 6, n, n) and output (batch, targets, 6, n, n), in physical units.
/// The order is that of samples and archives (kernels/sample.hpp), so that a record of an archive goes in as it is.
inline constexpr const char* kOnnxInput = "fields";
inline constexpr const char* kOnnxOutput = "tendencies";

/// Keys of the file's metadata. The first four are the contract that graphs of other programs have to fulfil as well.
namespace onnx_key {
inline constexpr const char* kKind = "tramontane.kind";                  ///< correction or emulator
inline constexpr const char* kInterval = "tramontane.interval_seconds";  ///< coupling interval
inline constexpr const char* kInputs = "tramontane.inputs";              ///< "name [units], name [units], ..."
inline constexpr const char* kTargets = "tramontane.targets";
inline constexpr const char* kBounds = "tramontane.bounds";       ///< JSON: largest magnitude of each target; optional
inline constexpr const char* kSelfTest = "tramontane.self_test";  ///< JSON, see OnnxSelfTest; optional
inline constexpr const char* kModel = "tramontane.model";         ///< JSON: what a Model holds besides weights
/// JSON: a TrainingDistribution, for the guard; optional.
inline constexpr const char* kDistribution = "tramontane.distribution";
inline constexpr const char* kProvenance = "tramontane.provenance";
}  // namespace onnx_key

/// Values that the whole graph must reproduce: its input is offset[v] + scale[v] sin(k), with k the index of a value
/// over (variable, panel, y, x), in double before it is rounded; `output` at the flat places `index`.
struct OnnxSelfTest {
  std::vector<double> offset, scale;
  std::vector<std::int64_t> index;
  std::vector<float> output;

  /// (inputs, 6, n, n)
  std::vector<float> input(int n) const;
  /// Throws InputError if `whole` (targets, 6, n, n) differs from output by more than 1e-4 of its largest value.
  void check(const std::vector<float>& whole) const;
};

/// The file's bytes: normalisation, static fields (which need no input, being those of the grid), halos, turns into
/// the panels' frames, network, de-normalisation and bounds, as standard operators; checked by ONNX' own checker.
/// Throws InputError when `statics` are not what the model was trained with.
std::string to_onnx(const Model& model, const StaticFields& statics);

/// Writes to_onnx aside and renames it. Throws RunError.
void save_onnx(const Model& model, const StaticFields& statics, const std::filesystem::path& path);

}  // namespace tramontane
