/// Kernels of the guard of a surrogate: how foreign a cell's inputs and outputs are, and the weight that its correction
/// keeps. Arrays are on this rank's tiles, (tiles, T, T), or padded by a ghost cell, (tiles, T + 2, T + 2).
///
/// Nothing here is a comparison that NaN could pass: what is not below a limit is beyond it.
#pragma once

#include <cmath>

#include "kernels/guard_features.hpp"

namespace tramontane {

/// Score of what is beyond any limit: not finite, or at the model's bound. Finite, so that means of it are too.
inline constexpr float kForeign = 1e30f;

/// Fields of cells: variable v of cell k is values[k * cell_stride + v * variable_stride].
struct GuardedFields {
  const float* values = nullptr;
  std::size_t cell_stride = 0, variable_stride = 0;
  KOKKOS_INLINE_FUNCTION float operator()(std::size_t cell, int variable) const {
    return values[cell * cell_stride + variable * variable_stride];
  }
};

/// What a model knows of its training, for this rank's cells. Without a distribution the pointers are null.
struct GuardTables {
  const float* geometry = nullptr;        ///< (cells, kGuardGeometry)
  const int* band = nullptr;              ///< (cells)
  const float* mean = nullptr;            ///< (bands, kGuardFeatures)
  const float* whitening = nullptr;       ///< (bands, triangle), see TrainingDistribution
  const float* target_inverse = nullptr;  ///< (2, cells): one over the targets' mean squares
  float bound[kGuardChannels] = {};       ///< of the outputs; infinite: none
};

/// The place of a cell of an array without ghosts in one with them.
KOKKOS_INLINE_FUNCTION std::size_t padded_place(std::size_t cell, int size) {
  const std::size_t area = static_cast<std::size_t>(size) * size, tile = cell / area, rest = cell % area;
  return (tile * (size + 2) + rest / size + 1) * (size + 2) + rest % size + 1;
}

/// channels (cells, kGuardChannels) = the height and the vector among the inputs times scale plus shift, (inputs) each.
/// Returns how many are not finite.
template <class Space>
int gather_guard_channels(std::size_t cells, GuardedFields inputs, int vector, const float* scale, const float* shift,
                          float* channels) {
  int bad = 0;
  Kokkos::parallel_reduce(
      "gather_guard_channels", Kokkos::RangePolicy<Space>(0, cells),
      KOKKOS_LAMBDA(const std::size_t cell, int& count) {
        for (int c = 0; c < kGuardChannels; ++c) {
          const int variable = c == 0 ? 0 : vector + c - 1;
          const float value = inputs(cell, variable) * scale[variable] + shift[variable];
          channels[cell * kGuardChannels + c] = value;
          count += value - value == 0.0f ? 0 : 1;
        }
      },
      bad);
  return bad;
}

/// A score, or kForeign.
KOKKOS_INLINE_FUNCTION float guard_score(float square) {
  return square < kForeign ? square : kForeign;
}

/// scores (cells, 2): squares of how far a cell's inputs lie from the training inputs of its belt, and how large its
/// outputs are against the training targets about it; both are one in the mean over the training samples.
/// @param channels padded, (padded cells, kGuardChannels); @param outputs in physical units, kGuardChannels of them
template <class Space>
void score_guarded_cells(std::size_t cells, int size, const float* channels, GuardedFields outputs, GuardTables tables,
                         float* scores) {
  Kokkos::parallel_for(
      "score_guarded_cells", Kokkos::RangePolicy<Space>(0, cells), KOKKOS_LAMBDA(const std::size_t cell) {
        const std::size_t row = size + 2, place = padded_place(cell, size);
        const float* centre = channels + place * kGuardChannels;
        float input = 0, output = 0;
        if (tables.mean) {
          float x[kGuardFeatures];
          guard_features(centre, centre - kGuardChannels, centre + kGuardChannels, centre - row * kGuardChannels,
                         centre + row * kGuardChannels, tables.geometry + cell * kGuardGeometry, x);
          const float* mean = tables.mean + tables.band[cell] * kGuardFeatures;
          const float* weight = tables.whitening + tables.band[cell] * (kGuardFeatures * (kGuardFeatures + 1) / 2);
          for (int f = 0; f < kGuardFeatures; ++f) x[f] -= mean[f];
          for (int f = 0; f < kGuardFeatures; ++f) {
            float sum = 0;
            for (int g = 0; g <= f; ++g) sum += *weight++ * x[g];
            input += sum * sum;
          }
        } else {
          for (int c = 0; c < kGuardChannels; ++c) input += centre[c] - centre[c];
        }
        const float first = outputs(cell, 0);
        float vector = 0;
        for (int c = 1; c < kGuardChannels; ++c) vector += outputs(cell, c) * outputs(cell, c);
        if (tables.target_inverse)
          output = 0.5f * (first * first * tables.target_inverse[cell] + vector * tables.target_inverse[cells + cell]);
        bool inside = true;
        for (int c = 0; c < kGuardChannels; ++c) {
          const float size_of_it = std::fabs(outputs(cell, c));
          inside = inside && (size_of_it < tables.bound[c] || size_of_it == 0.0f);
        }
        scores[2 * cell] = guard_score(input);
        scores[2 * cell + 1] = inside ? guard_score(output) : kForeign;
      });
}

/// target (cells, channels) = mean over 3 x 3 cells of padded (padded cells, channels). The mean of equal numbers 0 or
/// 1 is that number.
template <class Space>
void mean_of_neighbourhood(std::size_t cells, int size, int channels, const float* padded, float* target) {
  Kokkos::parallel_for(
      "mean_of_neighbourhood", Kokkos::RangePolicy<Space>(0, cells), KOKKOS_LAMBDA(const std::size_t cell) {
        const std::ptrdiff_t row = size + 2;
        const float* centre = padded + padded_place(cell, size) * channels;
        for (int c = 0; c < channels; ++c) {
          float sum = 0;
          for (int j = -1; j <= 1; ++j)
            for (int i = -1; i <= 1; ++i) sum += centre[(j * row + i) * channels + c];
          target[cell * channels + c] = sum / 9.0f;
        }
      });
}

/// target (cells) = least of 3 x 3 cells of padded (padded cells).
template <class Space>
void least_of_neighbourhood(std::size_t cells, int size, const float* padded, float* target) {
  Kokkos::parallel_for(
      "least_of_neighbourhood", Kokkos::RangePolicy<Space>(0, cells), KOKKOS_LAMBDA(const std::size_t cell) {
        const std::ptrdiff_t row = size + 2;
        const float* centre = padded + padded_place(cell, size);
        float least = *centre;
        for (int j = -1; j <= 1; ++j)
          for (int i = -1; i <= 1; ++i) {
            const float here = centre[j * row + i];
            least = here < least ? here : least;
          }
        target[cell] = least;
      });
}

/// How many cells have scores beyond the threshold.
struct GuardCauses {
  int input = 0, output = 0;
};

/// weights (cells): 1 where the larger of a cell's scores is at most the threshold, 0 from the cutoff on, linear in
/// between. Scores are squares, threshold and cutoff are not.
template <class Space>
GuardCauses weights_of_scores(std::size_t cells, const float* scores, float threshold, float cutoff, float* weights) {
  GuardCauses causes;
  Kokkos::parallel_reduce(
      "weights_of_scores", Kokkos::RangePolicy<Space>(0, cells),
      KOKKOS_LAMBDA(const std::size_t cell, int& input, int& output) {
        const float from_input = std::sqrt(scores[2 * cell]), from_output = std::sqrt(scores[2 * cell + 1]);
        const float worst = from_input < from_output ? from_output : from_input;
        weights[cell] = worst <= threshold ? 1.0f : worst < cutoff ? (cutoff - worst) / (cutoff - threshold) : 0.0f;
        input += from_input <= threshold ? 0 : 1;
        output += from_output <= threshold ? 0 : 1;
      },
      causes.input, causes.output);
  return causes;
}

/// Output v of cell k times the cell's weight, for `variables` variables. Where the weight is zero so is the output,
/// whatever it was: zero times NaN is not zero.
template <class Space>
void apply_weights(std::size_t cells, const float* weights, int variables, std::size_t cell_stride,
                   std::size_t variable_stride, float* outputs) {
  Kokkos::parallel_for(
      "apply_weights", Kokkos::RangePolicy<Space>(0, cells), KOKKOS_LAMBDA(const std::size_t cell) {
        const float weight = weights[cell];
        for (int v = 0; v < variables; ++v) {
          float& value = outputs[cell * cell_stride + v * variable_stride];
          value = weight > 0 ? weight * value : 0.0f;
        }
      });
}

}  // namespace tramontane
