/// Between samples as they are stored and what a network reads and answers: gathering with normalisation and cast, and
/// the loss with its gradient.
#pragma once

#include <cstdint>

#include "kernels/exact_sums.hpp"
#include "kernels/panel_turns.hpp"

namespace tramontane {

/// The fields of one sample in the network's memory: (variables, cells), cells in the order of global fields.
struct SampleFields {
  const float* input;
  const float* target;
};

/// What is the same for every sample of a grid. Cells are in the order of tiles; a field's value for it stands at
/// global_cell[cell]. All pointers are into the network's memory.
struct BatchTables {
  int cells, inputs, targets;
  const int* global_cell;       ///< (cells)
  const double* weight;         ///< (cells) area over total area
  const float* axes;            ///< (cells, 6) panel axes, or null: vectors stay Cartesian
  int vector;                   ///< first of the three targets that are turned with them
  const float* input_mean;      ///< (inputs)
  const float* input_inverse;   ///< (inputs) one over the standard deviation
  const float* target_inverse;  ///< (targets)
};

/// Normalised inputs of `samples` samples into channels [0, inputs) of cells (samples, cells, stride). *not_finite
/// becomes 1 if one is not.
template <class Space, class Scalar>
void gather_samples(const BatchTables& tables, int samples, const SampleFields* fields, int stride, Scalar* input,
                    std::int64_t* not_finite) {
  const BatchTables t = tables;
  constexpr int block =
      static_cast<int>(kElementsAThread<Space>);  // of cells: a division a cell would cost as much again
  const int blocks = (t.cells + block - 1) / block;
  Kokkos::parallel_for(
      "gather_samples", Kokkos::RangePolicy<Space>(0, samples * blocks), KOKKOS_LAMBDA(const int index) {
        const int sample = index / blocks, from = index % blocks * block,
                  to = from + block < t.cells ? from + block : t.cells;
        const std::size_t field = t.cells;
        const float* __restrict__ fields_in = fields[sample].input;
        Scalar* __restrict__ x = input + (sample * field + from) * stride;
        int bad = 0;
        for (int cell = from; cell < to; ++cell, x += stride) {
          const float* raw = fields_in + t.global_cell[cell];
          for (int v = 0; v < t.inputs; ++v) {
            const float value = (raw[v * field] - t.input_mean[v]) * t.input_inverse[v];
            bad |= value - value == 0.0f ? 0 : 1;
            x[v] = static_cast<Scalar>(value);
          }
        }
        if (bad) *not_finite = 1;
      });
}

/// Fields (count, cells) that are the same for all samples into channels [offset, offset + count) of cells
/// (samples, cells, stride), as they are.
template <class Space, class Scalar>
void scatter_fields(int cells, int count, const int* global_cell, const float* fields, int samples, int stride,
                    int offset, Scalar* input) {
  Kokkos::parallel_for(
      "scatter_fields", Kokkos::RangePolicy<Space>(0, static_cast<long>(samples) * cells),
      KOKKOS_LAMBDA(const long index) {
        const int from = global_cell[index % cells];
        for (int v = 0; v < count; ++v)
          input[index * stride + offset + v] = static_cast<Scalar>(fields[static_cast<std::size_t>(v) * cells + from]);
      });
}

/// Where squared_errors writes. Errors (samples, planes, cells): area times the squared error of the normalised target,
/// one plane a target, or with planes = 1 their sum. Gradient (capacity, cells, stride), if given: scale * d(sum of all
/// errors)/d(prediction) for the first `samples` samples, zero for the rest, channels [0, targets).
template <class Scalar>
struct LossOutput {
  int planes;
  double* errors;
  double scale;
  int capacity;
  Scalar* gradient;
};

/// prediction (samples, cells, stride) is the network's output, its vectors along the panel's axes if the tables have
/// any; null stands for zero. Targets of at most kMostTargets variables.
inline constexpr int kMostTargets = 16;

template <class Space, class Scalar>
void squared_errors(const BatchTables& tables, int samples, const SampleFields* fields, int stride,
                    const Scalar* prediction, const LossOutput<Scalar>& output) {
  using Number = TurnArithmetic<Scalar>;
  const BatchTables t = tables;
  const LossOutput<Scalar> out = output;
  const int capacity = out.gradient ? out.capacity : samples;
  constexpr int block = static_cast<int>(kElementsAThread<Space>);
  const int blocks = (t.cells + block - 1) / block;
  Kokkos::parallel_for(
      "squared_errors", Kokkos::RangePolicy<Space>(0, capacity * blocks), KOKKOS_LAMBDA(const int index) {
        const int sample = index / blocks, from = index % blocks * block,
                  to = from + block < t.cells ? from + block : t.cells;
        const std::size_t field = t.cells;
        for (int cell = from; cell < to; ++cell) {
          const std::size_t at = (sample * field + cell) * stride;
          if (sample >= samples) {
            for (int v = 0; v < t.targets; ++v) out.gradient[at + v] = static_cast<Scalar>(Number(0));
            continue;
          }
          const float* axes = t.axes ? t.axes + static_cast<std::size_t>(cell) * 6 : nullptr;
          Number y[kMostTargets];
          for (int v = 0; v < t.targets; ++v) y[v] = prediction ? static_cast<Number>(prediction[at + v]) : Number(0);
          if (axes) vector_to_cartesian<Number>(axes, y[t.vector], y[t.vector + 1], y + t.vector);
          const float* target = fields[sample].target + t.global_cell[cell];
          const double weight = t.weight[cell];
          double sum = 0;
          for (int v = 0; v < t.targets; ++v) {
            const double error =
                static_cast<double>(y[v]) - static_cast<double>(target[v * field] * t.target_inverse[v]);
            y[v] = static_cast<Number>(out.scale * 2 * weight * error);
            const double squared = weight * error * error;
            sum += squared;
            if (out.planes > 1)
              out.errors[(static_cast<std::size_t>(sample) * out.planes + v) * field + cell] = squared;
          }
          if (out.planes == 1) out.errors[sample * field + cell] = sum;
          if (!out.gradient) continue;
          if (axes) {
            const Number gx = y[t.vector], gy = y[t.vector + 1], gz = y[t.vector + 2];
            y[t.vector] = component_along(axes, gx, gy, gz);
            y[t.vector + 1] = component_along(axes + 3, gx, gy, gz);
            y[t.vector + 2] = Number(0);
          }
          for (int v = 0; v < t.targets; ++v) out.gradient[at + v] = static_cast<Scalar>(y[v]);
        }
      });
}

}  // namespace tramontane
