#include "ml/batch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/ordered_sum.hpp"

namespace tramontane {
namespace {

template <class T>
void grow(MemoryBuffer<T>& buffer, const std::string& label, std::size_t size, Memory memory, int& generation) {
  if (buffer.size() >= size) return;
  buffer = MemoryBuffer<T>(label, size, memory);
  ++generation;
}

}  // namespace

BatchLayout::BatchLayout(const Tiling& grid, StaticFields statics, int inputs, int targets, Memory memory)
    : grid_(grid), statics_(std::move(statics)), inputs_(inputs), targets_(targets), memory_(memory) {
  const std::size_t count = grid_.cell_count();
  if (statics_.area.size() != count || statics_.values.size() != count * statics_.variables.size())
    throw InputError(
        fmt::format("the static fields hold {} values and {} areas, but a grid of {} x {} cells on six panels with {} "
                    "static variables needs {} and {}",
                    statics_.values.size(), statics_.area.size(), grid_.n, grid_.n, statics_.variables.size(),
                    count * statics_.variables.size(), count));
  if (targets_ > kMostTargets)
    throw InputError(fmt::format("the loss knows at most {} target variables, not {}", kMostTargets, targets_));
  std::vector<int> offsets(count);
  std::iota(offsets.begin(), offsets.end(), 0);
  order_ = tiles_from_global(grid_, offsets, 0, grid_.tile_count());
  const double total = std::accumulate(statics_.area.begin(), statics_.area.end(), 0.0);
  std::vector<double> weight;
  for (int offset : order_) weight.push_back(statics_.area[offset] / total);
  global_cell_ = copied("order of cells", order_, memory_);
  weight_ = copied("weights of cells", weight, memory_);
  if (!statics_.axes.empty()) frames_ = PanelFrames(grid_, statics_.axes, 0, grid_.tile_count(), memory_);
}

void BatchLayout::set_normaliser(const Normaliser& normaliser) {
  normaliser_ = normaliser;
  std::vector<float> scales;
  for (int v = 0; v < inputs_; ++v) scales.push_back(static_cast<float>(normaliser.input_mean[v]));
  for (int v = 0; v < inputs_; ++v) scales.push_back(static_cast<float>(1 / normaliser.input_std[v]));
  for (int v = 0; v < targets_; ++v) scales.push_back(static_cast<float>(1 / normaliser.target_std[v]));
  scales_ = copied("scales of variables", scales, memory_);
}

BatchTables BatchLayout::tables() const {
  return {cells(),
          inputs_,
          targets_,
          global_cell_.data(),
          weight_.data(),
          frames_.empty() ? nullptr : frames_.cell_axes(),
          kTargetVector,
          scales_.data(),
          scales_.data() + inputs_,
          scales_.data() + 2 * inputs_};
}

std::string BatchLayout::misfit(const Sample& sample) const {
  const std::size_t size = cells();
  if (sample.input.size() == size * inputs_ && sample.target.size() == size * targets_) return "";
  return fmt::format("sample {} has {} input and {} target values where {} and {} are expected", sample.info.number,
                     sample.input.size(), sample.target.size(), size * inputs_, size * targets_);
}

std::string BatchLayout::not_finite(const Sample& sample) const {
  const std::size_t size = cells();
  auto finite = [&](const float* field, float mean, float inverse) {
    return std::all_of(field, field + size, [&](float v) { return std::isfinite((v - mean) * inverse); });
  };
  for (int v = 0; v < inputs_; ++v)
    if (!finite(&sample.input[v * size], static_cast<float>(normaliser_.input_mean[v]),
                static_cast<float>(1 / normaliser_.input_std[v])))
      return fmt::format("input {} of sample {} is not finite", v, sample.info.number);
  for (int v = 0; v < targets_; ++v)
    if (!finite(&sample.target[v * size], 0, static_cast<float>(1 / normaliser_.target_std[v])))
      return fmt::format("target {} of sample {} is not finite", v, sample.info.number);
  return "";
}

void BatchLayout::stage(const std::vector<const Sample*>& samples) {
  const std::size_t inputs = static_cast<std::size_t>(cells()) * inputs_,
                    targets = static_cast<std::size_t>(cells()) * targets_, size = inputs + targets;
  host_fields_.clear();
  if (memory_ == Memory::host) {
    for (const Sample* s : samples) host_fields_.push_back({s->input.data(), s->target.data()});
  } else {
    grow(staged_, "staged samples", samples.size() * size, memory_, generation_);
    packed_.resize(samples.size() * size);
    for (std::size_t k = 0; k < samples.size(); ++k) {
      std::copy_n(samples[k]->input.begin(), inputs, packed_.begin() + static_cast<std::ptrdiff_t>(k * size));
      std::copy_n(samples[k]->target.begin(), targets,
                  packed_.begin() + static_cast<std::ptrdiff_t>(k * size + inputs));
      host_fields_.push_back({staged_.data() + k * size, staged_.data() + k * size + inputs});
    }
    staged_.copy_from_host(packed_.data(), packed_.size());
  }
  grow(fields_, "fields of samples", samples.size(), memory_, generation_);
  fields_.copy_from_host(host_fields_.data(), samples.size());
}

template <class Scalar>
void BatchLayout::write_statics(int samples, int stride, Scalar* input) const {
  const int count = static_cast<int>(statics_.variables.size()), cells = this->cells(), offset = inputs_;
  const MemoryBuffer<float> values = copied("static fields", statics_.values, memory_);
  in_space(memory_, [&](auto space) {
    scatter_fields<decltype(space)>(cells, count, global_cell_.data(), values.data(), samples, stride, offset, input);
    space.fence();  // the copy goes
  });
}

template <class Scalar>
void BatchLayout::gather(std::size_t first, int count, int stride, Scalar* input, std::int64_t* not_finite) const {
  in_space(memory_, [&](auto space) {
    gather_samples<decltype(space)>(tables(), count, fields_.data() + first, stride, input, not_finite);
  });
}

template <class Scalar>
const MemoryBuffer<double>& BatchLayout::errors(std::size_t first, int count, int planes, int stride,
                                                const Scalar* prediction, double scale, int capacity,
                                                Scalar* gradient) {
  const std::size_t segments = static_cast<std::size_t>(count) * planes, size = cells();
  grow(cell_errors_, "errors of cells", segments * size, memory_, generation_);
  grow(workspace_, "workspace of errors", ordered_sums_workspace(segments, size), memory_, generation_);
  grow(sums_, "errors of samples", segments, memory_, generation_);
  in_space(memory_, [&](auto space) {
    using Space = decltype(space);
    squared_errors<Space>(tables(), count, fields_.data() + first, stride, prediction,
                          LossOutput<Scalar>{planes, cell_errors_.data(), scale, capacity, gradient});
    ordered_sums<Space>(segments, size, Elements{cell_errors_.data()}, workspace_.data(), sums_.data());
  });
  return sums_;
}

template void BatchLayout::write_statics<float>(int, int, float*) const;
template void BatchLayout::write_statics<Bfloat16>(int, int, Bfloat16*) const;
template void BatchLayout::write_statics<double>(int, int, double*) const;
template void BatchLayout::gather<float>(std::size_t, int, int, float*, std::int64_t*) const;
template void BatchLayout::gather<Bfloat16>(std::size_t, int, int, Bfloat16*, std::int64_t*) const;
template void BatchLayout::gather<double>(std::size_t, int, int, double*, std::int64_t*) const;
template const MemoryBuffer<double>& BatchLayout::errors<float>(std::size_t, int, int, int, const float*, double, int,
                                                                float*);
template const MemoryBuffer<double>& BatchLayout::errors<Bfloat16>(std::size_t, int, int, int, const Bfloat16*, double,
                                                                   int, Bfloat16*);
template const MemoryBuffer<double>& BatchLayout::errors<double>(std::size_t, int, int, int, const double*, double, int,
                                                                 double*);

}  // namespace tramontane
