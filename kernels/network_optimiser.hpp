/// AdamW and the exponential moving average of the weights in one pass over flat buffers, and the judgement before it:
/// whether the step may be taken, and by how much its gradient is scaled.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/exact_sums.hpp"

namespace tramontane {

/// What became of the latest step, in the network's memory; the host reads it when it reports.
struct StepStatus {
  double loss = 0;               ///< mean over the global batch
  double norm_squared = 0;       ///< of the gradient, before clipping
  float gradient_scale = 1;      ///< what clipping makes of it
  std::int64_t failed_step = 0;  ///< the first step that met a value that is not finite; no later one changes a weight
};

/// Scalars of one AdamW step (Loshchilov and Hutter 2019, algorithm 2), read by kernels in the network's memory, so
/// that a recorded step finds those of its turn: bias corrections are folded into the two factors. Clipping comes from
/// the StepStatus.
struct AdamwStep {
  std::int64_t number;  ///< of the step, counted from 1
  float learning_rate;
  float beta1, beta2, epsilon;
  float first_correction;   ///< 1 / (1 - beta1^t)
  float second_correction;  ///< 1 / (1 - beta2^t)
  float weight_decay;       ///< where the mask says so
  float average_decay;      ///< of the moving average: average = decay * average + (1 - decay) * parameter
};

/// Fills in `status` for `step` from the reduced status elements (kExactStatus floats, see exact_sums.hpp) and the
/// squared norm that stands in it already.
template <class Space>
void judge_step(const AdamwStep* step, double clip_norm, const float* reduced, StepStatus* status) {
  Kokkos::parallel_for(
      "judge_step", Kokkos::RangePolicy<Space>(0, 1), KOKKOS_LAMBDA(int) {
        status->loss = static_cast<double>(reduced[kExactLoss]) / kExactLossScale;
        const double norm = std::sqrt(status->norm_squared);
        status->gradient_scale = static_cast<float>(clip_norm > 0 && norm > clip_norm ? clip_norm / norm : 1.0);
        if (reduced[kExactNotFinite] != 0.0f && status->failed_step == 0) status->failed_step = step->number;
      });
}

/// The flat buffers of an optimiser, all of the same size.
struct AdamwBuffers {
  const float* gradient;
  const unsigned char* decays;  ///< 1 where weight decay applies
  float *parameter, *first, *second, *average;
};

/// Updates parameter, first and second moment and moving average of elements [0, count), unless the status tells of a
/// failed step. `low`, if given, gets the new parameters in a shorter type: the weights of a network that computes in
/// 16 bits, without a pass of their own.
template <class Space, class Low = float>
void adamw_update(const AdamwStep* step, std::size_t count, const StepStatus* status, const AdamwBuffers& buffers,
                  Low* low = nullptr) {
  constexpr std::size_t block = kElementsAThread<Space>;
  const AdamwBuffers all = buffers;
  Kokkos::parallel_for(
      "adamw_update", elements_policy<Space>(0, count), KOKKOS_LAMBDA(const std::size_t b) {
        if (status->failed_step != 0) return;
        const AdamwStep s = *step;
        const float scale = status->gradient_scale;
        const float* __restrict__ gradient = all.gradient;
        const unsigned char* __restrict__ decays = all.decays;
        float* __restrict__ p = all.parameter;
        float* __restrict__ m = all.first;
        float* __restrict__ v = all.second;
        float* __restrict__ a = all.average;
        const std::size_t from = b * block, to = block_end(from, block, count);
#pragma omp simd
        for (std::size_t k = from; k < to; ++k) {
          const float g = scale * gradient[k];
          m[k] = s.beta1 * m[k] + (1.0f - s.beta1) * g;
          v[k] = s.beta2 * v[k] + (1.0f - s.beta2) * g * g;
          const float move = m[k] * s.first_correction / (std::sqrt(v[k] * s.second_correction) + s.epsilon);
          p[k] -= s.learning_rate * (move + s.weight_decay * static_cast<float>(decays[k]) * p[k]);
          a[k] = s.average_decay * a[k] + (1.0f - s.average_decay) * p[k];
        }
        if (low)
          for (std::size_t k = from; k < to; ++k) low[k] = static_cast<Low>(p[k]);
      });
}

}  // namespace tramontane
