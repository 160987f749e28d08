#include "src/coupled/drift.hpp"

#include <algorithm>
#include <cmath>

namespace tramontane {

namespace {

const std::size_t kInputs = sample_inputs().size(), kChannels = kInputs + sample_targets().size();

double scale_or_one(double deviation, double mean) {
  return deviation > 1e-12 * std::abs(mean) && deviation > 0 ? deviation : 1.0;
}

}  // namespace

ChannelMoments::ChannelMoments(const Sample& sample, const std::vector<double>& area)
    : samples(1), mean(kChannels), squares(kChannels) {
  const std::size_t cells = area.size();
  double whole = 0;
  for (const double a : area) whole += a;
  for (std::size_t v = 0; v < kChannels; ++v) {
    const float* values = v < kInputs ? &sample.input[v * cells] : &sample.target[(v - kInputs) * cells];
    double sum = 0, squared = 0;
    for (std::size_t k = 0; k < cells; ++k) sum += area[k] * values[k];
    mean[v] = sum / whole;
    for (std::size_t k = 0; k < cells; ++k) squared += area[k] * (values[k] - mean[v]) * (values[k] - mean[v]);
    squares[v] = squared / whole;
  }
}

void ChannelMoments::merge(const ChannelMoments& other) {
  if (other.samples == 0) return;
  if (samples == 0) {
    *this = other;
    return;
  }
  const double total = samples + other.samples;
  for (std::size_t v = 0; v < mean.size(); ++v) {
    const double delta = other.mean[v] - mean[v];
    mean[v] += delta * other.samples / total;
    squares[v] += other.squares[v] + delta * delta * samples * other.samples / total;
  }
  samples = total;
}

ChannelMoments ChannelMoments::reduced(MPI_Comm comm) const {
  int size = 1;
  MPI_Comm_size(comm, &size);
  std::vector<double> flat(1 + 2 * kChannels, 0), all(flat.size() * static_cast<std::size_t>(size));
  if (samples > 0) {
    flat[0] = samples;
    std::ranges::copy(mean, flat.begin() + 1);
    std::ranges::copy(squares, flat.begin() + 1 + static_cast<std::ptrdiff_t>(kChannels));
  }
  MPI_Allgather(flat.data(), static_cast<int>(flat.size()), MPI_DOUBLE, all.data(), static_cast<int>(flat.size()),
                MPI_DOUBLE, comm);
  ChannelMoments merged;
  for (auto from = all.begin(); from != all.end(); from += static_cast<std::ptrdiff_t>(flat.size())) {
    const auto split = from + 1 + static_cast<std::ptrdiff_t>(kChannels);
    ChannelMoments one;
    one.samples = *from;
    one.mean.assign(from + 1, split);
    one.squares.assign(split, split + static_cast<std::ptrdiff_t>(kChannels));
    merged.merge(one);
  }
  return merged;
}

ChannelScales::ChannelScales(const ChannelMoments& moments) : mean(moments.mean), scale(kChannels) {
  std::vector<double> variance(kChannels);
  for (std::size_t v = 0; v < kChannels; ++v) {
    variance[v] = moments.squares[v] / moments.samples;
    scale[v] = scale_or_one(std::sqrt(variance[v]), mean[v]);
  }
  for (const std::size_t first : {std::size_t{kInputVector}, kInputs + kTargetVector}) {
    double mean_square = 0;
    for (std::size_t v = first; v < first + 3; ++v) mean_square += (mean[v] * mean[v] + variance[v]) / 3;
    for (std::size_t v = first; v < first + 3; ++v) {
      mean[v] = 0;
      scale[v] = mean_square > 0 ? std::sqrt(mean_square) : 1.0;
    }
  }
  std::fill(mean.begin() + static_cast<std::ptrdiff_t>(kInputs), mean.end(), 0.0);
}

ChannelScales::ChannelScales(const Normaliser& normaliser) : mean(normaliser.input_mean), scale(normaliser.input_std) {
  mean.resize(kChannels, 0.0);
  scale.insert(scale.end(), normaliser.target_std.begin(), normaliser.target_std.end());
}

double drift_between(const ChannelScales& now, const ChannelScales& reference, std::size_t* channel) {
  double greatest = 0;
  std::size_t where = 0;
  for (std::size_t v = 0; v < kChannels; ++v) {
    const double shift = std::abs(now.mean[v] - reference.mean[v]) / reference.scale[v];
    const double here = std::max(shift, std::abs(std::log(now.scale[v] / reference.scale[v])));
    if (here > greatest) {
      greatest = here;
      where = v;
    }
  }
  if (channel != nullptr) *channel = where;
  return greatest;
}

}  // namespace tramontane
