/// Models of all architectures with what their exports need.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ml/onnx/model_export.hpp"
#include "ml/surrogate.hpp"
#include "tests/ml/learner_fixture.hpp"

namespace tramontane::testing {

struct OnnxCase {
  std::string name;
  Model model;
  StaticFields statics;
};

inline std::vector<float> surrogate_answer(const OnnxCase& c, std::span<const float> input) {
  return Surrogate(c.model, Tiling(kCells, 1, 1), MPI_COMM_SELF, "reference", 60, c.statics.axes)
      .evaluate(input, c.statics.values);
}

inline OnnxCase onnx_case(const std::string& name, NetworkSpec spec, const std::string& frame) {
  OnnxCase c{name, lively_model(2), static_fields()};
  spec.inputs = 9;
  spec.outputs = 4;
  spec.n = kCells;
  c.model.network = spec;
  c.model.vector_frame = frame;
  c.model.weights = lively_parameters<float>(build_graph(spec));
  c.model.provenance = R"({"deck": "test"})";
  c.model.training_step = 12;
  c.model.make_self_test();
  if (frame == "panel") c.statics.axes = noise<float>(kPanels * (kCells + 2) * (kCells + 2) * 6, 77);
  // Bounds that some values meet.
  c.model.normaliser.bound.assign(4, 1e9);
  const std::vector<float> free = surrogate_answer(c, synthetic_sample(3).input);
  const std::size_t cells = free.size() / 4;
  for (std::size_t v = 0; v < 4; ++v) {
    float largest = 0;
    for (std::size_t k = v * cells; k < (v + 1) * cells; ++k) largest = std::max(largest, std::abs(free[k]));
    c.model.normaliser.bound[v] = 0.6 * largest;
  }
  return c;
}

/// Between them: skips, pooling, upsampling, dilation, residuals, both normalisations, polar kernels, both frames, with
/// and without a border at the first layer.
inline std::vector<OnnxCase> onnx_cases() {
  std::vector<OnnxCase> cases;
  NetworkSpec unet{.type = "unet", .width = 8, .levels = 3};
  cases.push_back(onnx_case("unet", unet, "cartesian"));
  cases.push_back(onnx_case("unet-panel", unet, "panel"));
  unet.kernels = "polar";
  unet.norm = "group";
  unet.groups = 2;
  unet.levels = 2;
  cases.push_back(onnx_case("unet-polar-group", unet, "panel"));
  cases.push_back(onnx_case("mlp-layer", {.type = "mlp", .width = 8, .levels = 2, .norm = "layer"}, "panel"));
  cases.push_back(onnx_case(
      "convnext", {.type = "convnext", .width = 8, .blocks = 3, .dilations = {1, 2, 4}, .norm = "layer"}, "panel"));
  return cases;
}

}  // namespace tramontane::testing
