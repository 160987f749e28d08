/// A small synthetic learning problem: smooth fields on a tiny sphere.
#pragma once

#include <cmath>
#include <vector>

#include "ml/trainer.hpp"
#include "tests/ml/network_fixture.hpp"

namespace tramontane::testing {

inline constexpr int kCells = 8;  ///< per panel edge

/// Four static channels and cell areas that vary by a factor of two, as the sphere's would; no geometry is needed.
inline StaticFields static_fields(int n = kCells) {
  StaticFields fields;
  const std::size_t cells = 6 * n * n;
  fields.variables = {{"coriolis", "1", ""}, {"x", "1", ""}, {"y", "1", ""}, {"z", "1", ""}};
  fields.values = noise<float>(4 * cells, 21);
  for (double a : noise<double>(cells, 22)) fields.area.push_back(1.5 + 0.5 * a);
  return fields;
}

/// Inputs of very different scales; targets are fixed local functions of them, so that a network can learn them.
inline Sample synthetic_sample(std::int64_t number, int n = kCells) {
  const std::size_t cells = 6 * n * n;
  Sample s;
  s.n = n;
  s.info.number = number;
  // One wave per panel with a phase of its own.
  const std::vector<float> phase = noise<float>(5 * 6, 100 + number);
  s.input.resize(5 * cells);
  for (std::size_t k = 0; k < s.input.size(); ++k) {
    const int j = static_cast<int>(k / n % n), i = static_cast<int>(k % n), field = static_cast<int>(k / (n * n));
    s.input[k] =
        std::sin(6.2831853f * (static_cast<float>(i + (field / 6) * j) / static_cast<float>(n) + phase[field]));
  }
  s.target.resize(4 * cells);
  for (std::size_t c = 0; c < cells; ++c) {
    const float a = s.input[c], b = s.input[cells + c], d = s.input[2 * cells + c];
    s.target[c] = 1e-4f * (a - b);
    s.target[cells + c] = 1e-5f * b * d;
    s.target[2 * cells + c] = 1e-5f * std::abs(a);
    s.target[3 * cells + c] = 1e-5f * (d + 0.5f);
    s.input[c] = 5000 + 300 * a;
    s.input[cells + c] = 20 * b;
    s.input[2 * cells + c] = 20 * d;
    s.input[4 * cells + c] = 0;  // flat orography: a constant channel
  }
  return s;
}

inline std::vector<Sample> synthetic_samples(int count) {
  std::vector<Sample> samples;
  for (int k = 0; k < count; ++k) samples.push_back(synthetic_sample(k));
  return samples;
}

inline std::vector<const Sample*> pointers(const std::vector<Sample>& samples, std::size_t first, std::size_t count) {
  std::vector<const Sample*> list;
  for (std::size_t k = first; k < first + count; ++k) list.push_back(&samples[k]);
  return list;
}

inline Normaliser normaliser_of(const std::vector<Sample>& samples) {
  NormaliserStatistics statistics(static_fields().area, 5, 4);
  for (const Sample& s : samples) statistics.add(s);
  return statistics.finish(1.5);
}

inline NetworkSpec learner_spec(int width = 16) {
  return {"unet", 9, 4, width, 2, kCells, 1};
}

/// A model whose output layer is not zero, so that what it says can be told from nothing.
inline Model lively_model(int levels = 3) {
  Model model;
  model.network = {"unet", 9, 4, 8, levels, kCells, 1};
  model.inputs = sample_inputs();
  model.targets = sample_targets();
  model.statics = static_fields().variables;
  model.interval_seconds = 3600;
  model.normaliser = normaliser_of(synthetic_samples(2));
  model.weights = lively_parameters<float>(build_graph(model.network));
  model.software = "test";
  model.make_self_test();
  return model;
}

}  // namespace tramontane::testing
