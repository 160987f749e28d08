/// Kernels of a normalisation of each cell over groups of its channels: forward and both parts of backward.
///
/// Arrays are (cells, channels); `statistics` holds (cells, groups, 2): mean and inverse deviation of each group. With
/// x' = (x - mean) * inverse, y = activation(scale x' + shift).
#pragma once

#include <cmath>

#include "kernels/network_gather.hpp"

namespace tramontane {

struct NormalisationExtents {
  std::size_t cells;
  int channels, groups;  ///< groups divides channels
  double epsilon;        ///< added to the variance

  KOKKOS_INLINE_FUNCTION int group_channels() const { return channels / groups; }
};

/// Chunks of cells whose shares of the parameters' gradient are summed up on their own and then in order: a fixed
/// number, so that sums do not depend on the number of threads.
inline constexpr int kNormalisationChunks = 64;

template <class Space, class Scalar>
void normalisation_forward(const NormalisationExtents& extents, const Scalar* x, const ParameterOf<Scalar>* scale,
                           const ParameterOf<Scalar>* shift, bool activate, ArithmeticOf<Scalar> slope,
                           ArithmeticOf<Scalar> cap, ArithmeticOf<Scalar>* statistics, Scalar* y) {
  using Sum = ArithmeticOf<Scalar>;
  const NormalisationExtents e = extents;
  Kokkos::parallel_for(
      "normalisation_forward", Kokkos::RangePolicy<Space, Kokkos::IndexType<std::size_t>>(0, e.cells * e.groups),
      KOKKOS_LAMBDA(const std::size_t row) {
        const int width = e.group_channels(), first = static_cast<int>(row % e.groups) * width;
        const Scalar* in = x + row * width;  // groups lie one after another
        Scalar* out = y + row * width;
        Sum sum = 0;
        for (int c = 0; c < width; ++c) sum += static_cast<Sum>(in[c]);
        const Sum mean = sum / static_cast<Sum>(width);
        Sum squares = 0;
        for (int c = 0; c < width; ++c) {
          const Sum d = static_cast<Sum>(in[c]) - mean;
          squares += d * d;
        }
        const Sum inverse = Sum(1) / std::sqrt(squares / static_cast<Sum>(width) + static_cast<Sum>(e.epsilon));
        statistics[2 * row] = mean;
        statistics[2 * row + 1] = inverse;
        for (int c = 0; c < width; ++c) {
          Sum v = (static_cast<Sum>(in[c]) - mean) * inverse * scale[first + c] + shift[first + c];
          if (activate) {
            v = v > Sum(0) ? v : slope * v;
            v = v > cap ? cap : v;
          }
          out[c] = static_cast<Scalar>(v);
        }
      });
}

/// With g = dy * scale: dx = inverse * (g - mean of g - x' * mean of g x') over each group.
template <class Space, class Scalar>
void normalisation_backward_data(const NormalisationExtents& extents, const Scalar* x, const Scalar* dy,
                                 const ParameterOf<Scalar>* scale, const ArithmeticOf<Scalar>* statistics, Scalar* dx) {
  using Sum = ArithmeticOf<Scalar>;
  const NormalisationExtents e = extents;
  Kokkos::parallel_for(
      "normalisation_backward_data", Kokkos::RangePolicy<Space, Kokkos::IndexType<std::size_t>>(0, e.cells * e.groups),
      KOKKOS_LAMBDA(const std::size_t row) {
        const int width = e.group_channels(), first = static_cast<int>(row % e.groups) * width;
        const Scalar *in = x + row * width, *from = dy + row * width;
        const Sum mean = statistics[2 * row], inverse = statistics[2 * row + 1];
        Sum sum = 0, product = 0;
        for (int c = 0; c < width; ++c) {
          const Sum g = static_cast<Sum>(from[c]) * scale[first + c];
          sum += g;
          product += g * (static_cast<Sum>(in[c]) - mean) * inverse;
        }
        sum /= static_cast<Sum>(width);
        product /= static_cast<Sum>(width);
        for (int c = 0; c < width; ++c) {
          const Sum g = static_cast<Sum>(from[c]) * scale[first + c];
          const Sum normal = (static_cast<Sum>(in[c]) - mean) * inverse;
          dx[row * width + c] = static_cast<Scalar>(inverse * (g - sum - normal * product));
        }
      });
}

/// dscale += sum of dy x' and dshift += sum of dy over cells. `partial` is room for (chunks, 2, channels).
template <class Space, class Scalar>
void normalisation_backward_parameters(const NormalisationExtents& extents, const Scalar* x, const Scalar* dy,
                                       const ArithmeticOf<Scalar>* statistics, ArithmeticOf<Scalar>* partial,
                                       ParameterOf<Scalar>* dscale, ParameterOf<Scalar>* dshift) {
  using Sum = ArithmeticOf<Scalar>;
  const NormalisationExtents e = extents;
  const int width = e.group_channels();
  const std::size_t chunk_cells = (e.cells + kNormalisationChunks - 1) / kNormalisationChunks;
  Kokkos::parallel_for(
      "normalisation_backward_parameters", Kokkos::RangePolicy<Space>(0, kNormalisationChunks * e.groups),
      KOKKOS_LAMBDA(const int index) {
        const int chunk = index / e.groups, group = index % e.groups, first = group * width;
        Sum* product = partial + (static_cast<std::size_t>(chunk) * 2) * e.channels + first;
        Sum* sum = product + e.channels;
        for (int c = 0; c < width; ++c) product[c] = sum[c] = Sum(0);
        const std::size_t begin = chunk * chunk_cells;
        const std::size_t end = begin + chunk_cells < e.cells ? begin + chunk_cells : e.cells;
        for (std::size_t cell = begin; cell < end; ++cell) {
          const std::size_t row = cell * e.groups + group;
          const Sum mean = statistics[2 * row], inverse = statistics[2 * row + 1];
          const Scalar *in = x + row * width, *from = dy + row * width;
#pragma omp simd
          for (int c = 0; c < width; ++c) {
            const Sum g = from[c];
            product[c] += g * (static_cast<Sum>(in[c]) - mean) * inverse;
            sum[c] += g;
          }
        }
      });
  Kokkos::parallel_for(
      "normalisation_add_partial", Kokkos::RangePolicy<Space>(0, e.channels), KOKKOS_LAMBDA(const int c) {
        Sum product = 0, sum = 0;
        for (int chunk = 0; chunk < kNormalisationChunks; ++chunk) {
          product += partial[static_cast<std::size_t>(chunk) * 2 * e.channels + c];
          sum += partial[(static_cast<std::size_t>(chunk) * 2 + 1) * e.channels + c];
        }
        dscale[c] += product;
        dshift[c] += sum;
      });
}

}  // namespace tramontane
