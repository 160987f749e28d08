/// Smooth flows on a small sphere to train a guard on, and what is foreign to them.
#pragma once

#include <cmath>
#include <vector>

#include "ml/counter_random.hpp"
#include "ml/training_distribution.hpp"
#include "src/coupled/learning.hpp"

namespace tramontane::testing {

inline constexpr int kPanelCells = 12;

inline const CellPositions& positions() {
  static const CellPositions list = cell_positions(kPanelCells);
  return list;
}
inline int cells() {
  return kPanels * kPanelCells * kPanelCells;
}

/// A zonal flow of about 20 m/s with waves of random phase, height falling towards the poles, targets of order 1e-4 m/s
/// and 1e-5 m/s2.
inline Sample smooth_flow(int number) {
  const auto random = [&](int k) { return uniform_at(number, RandomStream::self_test, k); };
  const std::size_t count = cells();
  Sample sample;
  sample.n = kPanelCells;
  sample.info.number = number;
  sample.input.resize(5 * count);
  sample.target.resize(4 * count);
  for (std::size_t cell = 0; cell < count; ++cell) {
    const double x = positions()[cell], y = positions()[count + cell], z = positions()[2 * count + cell];
    const double lon = std::atan2(y, x), belt = std::hypot(x, y);
    const double wave = std::sin(2 * lon + 6.28 * random(0)) + 0.5 * std::sin(3 * lon + 6.28 * random(1) + 2 * z);
    const double east = (15 + 10 * random(2)) * belt + 4 * wave * belt * z, north = 4 * wave * belt * belt;
    sample.input[cell] = static_cast<float>(8000 - (900 + 200 * random(3)) * z * z + 60 * wave * belt);
    const double to_east[3] = {-y / belt, x / belt, 0};
    const double to_north[3] = {-z * x / belt, -z * y / belt, belt};
    for (int c = 0; c < 3; ++c)
      sample.input[(1 + c) * count + cell] = static_cast<float>(east * to_east[c] + north * to_north[c]);
    sample.target[cell] = static_cast<float>(1e-4 * (1.5 + z) * wave);
    for (int c = 0; c < 3; ++c)
      sample.target[(1 + c) * count + cell] = static_cast<float>(1e-5 * (1.5 + z) * wave * to_north[c]);
  }
  return sample;
}

inline const TrainingDistribution& distribution() {
  static const TrainingDistribution made = [] {
    DistributionStatistics statistics(positions());
    for (int number = 0; number < 24; ++number) statistics.add(smooth_flow(number));
    return statistics.finish();
  }();
  return made;
}

/// Bounds ten times as large as the targets; inputs come as they are.
inline Normaliser bounds_alone() {
  Normaliser scale;
  scale.bound = {4e-3, 4e-4, 4e-4, 4e-4};
  return scale;
}

}  // namespace tramontane::testing
