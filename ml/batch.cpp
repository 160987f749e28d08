#include "ml/batch.hpp"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

namespace tramontane {

BatchLayout::BatchLayout(const Tiling& grid, StaticFields statics, int inputs, int targets)
    : grid_(grid), statics_(std::move(statics)), inputs_(inputs), targets_(targets) {
  const std::size_t count = grid_.cell_count();
  if (statics_.area.size() != count || statics_.values.size() != count * statics_.variables.size())
    throw InputError(
        fmt::format("the static fields hold {} values and {} areas, but a grid of {} x {} cells on six panels with {} "
                    "static variables needs {} and {}",
                    statics_.values.size(), statics_.area.size(), grid_.n, grid_.n, statics_.variables.size(),
                    count * statics_.variables.size(), count));
  std::vector<int> offsets(count);
  std::iota(offsets.begin(), offsets.end(), 0);
  global_cell_ = tiles_from_global(grid_, offsets, 0, grid_.tile_count());
  const double total = std::accumulate(statics_.area.begin(), statics_.area.end(), 0.0);
  for (int offset : global_cell_) weight_.push_back(statics_.area[offset] / total);
}

std::string BatchLayout::gather(const Sample& sample, const Normaliser& normaliser, float* input, int stride,
                                std::vector<float>& target) const {
  const int count = cells(), statics = static_cast<int>(statics_.variables.size());
  const std::size_t size = count;
  if (sample.input.size() != size * inputs_ || sample.target.size() != size * targets_)
    return fmt::format("sample {} has {} input and {} target values where {} and {} are expected", sample.info.number,
                       sample.input.size(), sample.target.size(), size * inputs_, size * targets_);
  target.resize(size * targets_);
  // A channel's sum is not finite if any of its values is not: one check per channel.
  std::string problem;
  auto copy = [&](const float* from, float mean, float inverse, float* to, int step) {
    float sum = 0;
    for (int cell = 0; cell < count; ++cell) {
      const float value = (from[global_cell_[cell]] - mean) * inverse;
      to[static_cast<std::size_t>(cell) * step] = value;
      sum += value;
    }
    return std::isfinite(sum);
  };
  for (int v = 0; v < inputs_; ++v)
    if (!copy(&sample.input[v * size], static_cast<float>(normaliser.input_mean[v]),
              static_cast<float>(1 / normaliser.input_std[v]), input + v, stride) &&
        problem.empty())
      problem = fmt::format("input {} of sample {} is not finite", v, sample.info.number);
  for (int s = 0; s < statics; ++s) copy(&statics_.values[s * size], 0, 1, input + inputs_ + s, stride);
  for (int v = 0; v < targets_; ++v)
    if (!copy(&sample.target[v * size], 0, static_cast<float>(1 / normaliser.target_std[v]), target.data() + v,
              targets_) &&
        problem.empty())
      problem = fmt::format("target {} of sample {} is not finite", v, sample.info.number);
  return problem;
}

void BatchLayout::squared_error(const float* prediction, int stride, const std::vector<float>& target, double scale,
                                std::vector<double>& per_variable, float* gradient) const {
  per_variable.assign(targets_, 0.0);
  for (int cell = 0; cell < cells(); ++cell) {
    const float* y = prediction ? prediction + static_cast<std::size_t>(cell) * stride : nullptr;
    const float* t = &target[static_cast<std::size_t>(cell) * targets_];
    for (int v = 0; v < targets_; ++v) {
      const double error = (y ? y[v] : 0.0f) - t[v];
      per_variable[v] += weight_[cell] * error * error;
      if (gradient)
        gradient[static_cast<std::size_t>(cell) * stride + v] = static_cast<float>(scale * 2 * weight_[cell] * error);
    }
  }
}

}  // namespace tramontane
