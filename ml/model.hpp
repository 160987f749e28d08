/// A trained network with all that is needed to use it, and to refuse it where it does not belong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "kernels/sample.hpp"
#include "ml/normaliser.hpp"
#include "ml/network_graph.hpp"
#include "ml/training_distribution.hpp"

namespace tramontane {

/// What a run needs a model to be. Unset members are not compared.
struct ModelExpectation {
  std::optional<std::string> kind = {};
  std::optional<int> n = {};
  std::optional<double> interval_seconds = {};
  std::optional<std::vector<Variable>> inputs = {}, targets = {}, statics = {};
};

struct Model {
  std::string kind = "correction";  ///< "correction" or "emulator"
  NetworkSpec network;
  std::vector<Variable> inputs, targets, statics;
  std::string vector_frame = "cartesian";  ///< how vectors meet the network: "cartesian" or "panel" (PanelFrames)
  double interval_seconds = 0;             ///< coupling interval that the targets belong to
  Normaliser normaliser;
  TrainingDistribution distribution;  ///< empty: not known, as in files from before it was gathered
  std::vector<float> weights;      ///< flat, as NetworkGraph::blocks lays them out
  std::int64_t training_step = 0;  ///< optimiser steps behind the weights
  std::string provenance = "{}";   ///< free-form JSON: deck, months, versions
  std::string software;            ///< version of the program that made it
  /// Fixed synthetic input (6, m, m, network.inputs) on a tiny sphere, already normalised, and the network's output
  /// there (6, m, m, network.outputs) from the reference back end.
  std::vector<float> self_test_input, self_test_output;

  bool operator==(const Model&) const = default;

  /// Throws InputError, in one sentence, if the model is not what the run needs.
  void require(const ModelExpectation& expected) const;
  /// Throws InputError if sizes of weights, normaliser and variables contradict one another.
  void check_consistent() const;
  /// Fills in the self-test.
  void make_self_test();
  /// Evaluates the self-test on the reference back end; throws InputError if the output differs by more than 1e-4 of
  /// its largest value (single-precision round-off through a dozen layers, whatever the compiler and processor).
  void check_self_test() const;

  /// All but the arrays, as JSON, and back. The latter throws std::exception if a part is missing.
  std::string description() const;
  void apply_description(const std::string& text);

  /// The model file's bytes: 512 bytes of plain text header (format version, size, checksum), then an HDF5 image that
  /// starts there as HDF5's user block allows, so that h5dump and h5py open the file.
  std::vector<std::byte> to_bytes() const;
  /// Checks everything, `source` names the origin in messages. Throws InputError.
  static Model from_bytes(const std::vector<std::byte>& bytes, const std::string& source);
  /// Writes a file aside and renames it, so that a reader never sees half a model. Throws RunError.
  void save(const std::filesystem::path& path) const;
  /// Throws InputError: missing, truncated, other version, failed checksum, inconsistent, failed self-test.
  static Model load(const std::filesystem::path& path);
};

inline constexpr int kModelFormatVersion = 1;

}  // namespace tramontane
