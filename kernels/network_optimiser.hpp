/// AdamW and the exponential moving average of the weights in one pass over flat buffers.
#pragma once

#include <cmath>

#include "kernels/types.hpp"

namespace tramontane {

/// Scalars of one AdamW step (Loshchilov and Hutter 2019, algorithm 2): the caller folds clipping into
/// gradient_scale and the bias corrections into the two factors.
struct AdamwStep {
  float learning_rate;
  float beta1, beta2, epsilon;
  float first_correction;   ///< 1 / (1 - beta1^t)
  float second_correction;  ///< 1 / (1 - beta2^t)
  float weight_decay;
  float gradient_scale;
  float average_decay;  ///< of the moving average: average = decay * average + (1 - decay) * parameter
};

/// Updates elements [begin, end) of parameter, first and second moment and moving average.
template <class Space>
void adamw_update(const AdamwStep& step, std::size_t begin, std::size_t end, const float* gradient, float* parameter,
                  float* first, float* second, float* average) {
  const AdamwStep s = step;
  const float* __restrict__ g_in = gradient;
  float* __restrict__ p = parameter;
  float* __restrict__ m = first;
  float* __restrict__ v = second;
  float* __restrict__ a = average;
  auto update = KOKKOS_LAMBDA(const std::size_t k) {
    const float g = s.gradient_scale * g_in[k];
    m[k] = s.beta1 * m[k] + (1.0f - s.beta1) * g;
    v[k] = s.beta2 * v[k] + (1.0f - s.beta2) * g * g;
    const float move = m[k] * s.first_correction / (std::sqrt(v[k] * s.second_correction) + s.epsilon);
    p[k] -= s.learning_rate * (move + s.weight_decay * p[k]);
    a[k] = s.average_decay * a[k] + (1.0f - s.average_decay) * p[k];
  };
  Kokkos::parallel_for("adamw_update", Kokkos::RangePolicy<Space, Kokkos::IndexType<std::size_t>>(begin, end), update);
}

}  // namespace tramontane
