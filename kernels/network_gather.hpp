/// One kernel for everything in a network that moves cells about: halo fill, pooling, upsampling, concatenation, any
/// composition of them, and their adjoints. Each is a sparse matrix over cells whose rows are added up in a fixed
/// order.
#pragma once

#include <algorithm>
#include <type_traits>

#include "kernels/bfloat16_lanes.hpp"
#include "kernels/network_scalar.hpp"
#include "kernels/types.hpp"

namespace tramontane {

/// Sparse matrix over cells in compressed rows: row r of the result is sum_k weight[k] * source[k] for k in
/// [row_begin[r], row_begin[r + 1]). Weights are powers of two, so products are exact in any precision.
struct GatherRows {
  int rows = 0;
  const int* row_begin = nullptr;  ///< (rows + 1)
  const int* source = nullptr;     ///< index of a source cell
  const float* weight = nullptr;
};

/// Derivative of the capped leaky ReLU expressed by its output y: slope for y <= 0, 1 in between, 0 at the cap.
/// Scalar is a type of arithmetic.
template <class Scalar>
KOKKOS_INLINE_FUNCTION Scalar capped_leaky_relu_derivative(Scalar y, Scalar slope, Scalar cap) {
  return y > Scalar(0) ? (y < cap ? Scalar(1) : Scalar(0)) : slope;
}

#ifdef TRAMONTANE_BFLOAT16_LANES
inline WideLanes capped_leaky_relu_derivative(const WideLanes& y, float slope, float cap) {
  return y > 0.0f ? (y < cap ? wide_lanes(1) : wide_lanes(0)) : wide_lanes(slope);
}
#endif

/// What to gather and where to. Arrays are (cells, channels) with a channel stride of their own; the result goes to
/// channels [target_offset, target_offset + channels) of the target, from [source_offset, ...) of the source.
template <class Scalar>
struct GatherArguments {
  const Scalar* source = nullptr;
  int source_stride = 0, source_offset = 0;
  const Scalar* remote = nullptr;  ///< source cells with index >= local_cells, (remote cells, channels) packed
  int local_cells = 0;
  Scalar* target = nullptr;
  int target_stride = 0, target_offset = 0;
  int channels = 0;
  bool accumulate = false;         ///< add to the target instead of overwriting it
  const Scalar* output = nullptr;  ///< if given, shaped as the target: multiply by the activation's derivative at it
  ArithmeticOf<Scalar> slope = 0, cap = 0;
};

/// gather_rows on the host: one row is one iteration with a vector loop over channels. Where the scalar is its own type
/// of arithmetic, sums grow in the target itself.
template <class Space, class Scalar>
void gather_rows_in_place(GatherRows m, GatherArguments<Scalar> g) {
  Kokkos::parallel_for("gather_rows", Kokkos::RangePolicy<Space>(0, m.rows), [=](const int row) {
    Scalar* __restrict__ to = g.target + static_cast<std::size_t>(row) * g.target_stride + g.target_offset;
    int k = m.row_begin[row];
    const int end = m.row_begin[row + 1];
    auto from = [&](int cell) {
      return cell < g.local_cells ? g.source + static_cast<std::size_t>(cell) * g.source_stride + g.source_offset
                                  : g.remote + static_cast<std::size_t>(cell - g.local_cells) * g.channels;
    };
    if (!g.accumulate) {
      if (k == end) {
        for (int c = 0; c < g.channels; ++c) to[c] = Scalar(0);
      } else {
        const Scalar* __restrict__ first = from(m.source[k]);
        const Scalar w = m.weight[k];
#pragma omp simd
        for (int c = 0; c < g.channels; ++c) to[c] = w * first[c];
        ++k;
      }
    }
    for (; k < end; ++k) {
      const Scalar* __restrict__ next = from(m.source[k]);
      const Scalar w = m.weight[k];
#pragma omp simd
      for (int c = 0; c < g.channels; ++c) to[c] += w * next[c];
    }
    if (g.output) {
      const Scalar* __restrict__ y = g.output + static_cast<std::size_t>(row) * g.target_stride + g.target_offset;
#pragma omp simd
      for (int c = 0; c < g.channels; ++c) to[c] *= capped_leaky_relu_derivative(y[c], g.slope, g.cap);
    }
  });
}

/// Channels [first, first + count) of one row for a type of storage: sums are kept in the type of arithmetic and
/// rounded once.
template <class Scalar, class From>
inline void gather_row_rounded_once(const GatherRows& m, const GatherArguments<Scalar>& g, int row, const From& from,
                                    int first, int count) {
  using Sum = ArithmeticOf<Scalar>;
  const std::size_t target = static_cast<std::size_t>(row) * g.target_stride + g.target_offset + first;
  for (int c = 0; c < count; ++c) {
    Sum sum = g.accumulate ? static_cast<Sum>(g.target[target + c]) : Sum(0);
    for (int k = m.row_begin[row]; k < m.row_begin[row + 1]; ++k)
      sum += static_cast<Sum>(m.weight[k]) * static_cast<Sum>(from(m.source[k])[first + c]);
    if (g.output) sum *= capped_leaky_relu_derivative<Sum>(g.output[target + c], g.slope, g.cap);
    g.target[target + c] = static_cast<Scalar>(sum);
  }
}

#ifdef TRAMONTANE_BFLOAT16_LANES
/// The same for kBfloat16Lanes channels, held in a register.
template <class From>
inline void gather_lanes(const GatherRows& m, const GatherArguments<Bfloat16>& g, int row, const From& from,
                         int first) {
  const std::size_t target = static_cast<std::size_t>(row) * g.target_stride + g.target_offset + first;
  WideLanes sum = g.accumulate ? load_lanes(g.target + target) : WideLanes{};
  for (int k = m.row_begin[row]; k < m.row_begin[row + 1]; ++k)
    sum += m.weight[k] * load_lanes(from(m.source[k]) + first);
  if (g.output) {
    sum *= capped_leaky_relu_derivative(load_lanes(g.output + target), g.slope, g.cap);
  }
  store_lanes(g.target + target, sum);
}
#endif

template <class Space, class Scalar>
void gather_rows_rounded_once(GatherRows m, GatherArguments<Scalar> g) {
  Kokkos::parallel_for("gather_rows", Kokkos::RangePolicy<Space>(0, m.rows), [=](const int row) {
    const int begin = m.row_begin[row], end = m.row_begin[row + 1];
    auto from = [&](int cell) {
      return cell < g.local_cells ? g.source + static_cast<std::size_t>(cell) * g.source_stride + g.source_offset
                                  : g.remote + static_cast<std::size_t>(cell - g.local_cells) * g.channels;
    };
    if (!g.accumulate && !g.output && end == begin + 1 && m.weight[begin] == 1.0f) {  // most rows of a halo
      std::copy_n(from(m.source[begin]), g.channels,
                  g.target + static_cast<std::size_t>(row) * g.target_stride + g.target_offset);
      return;
    }
    int first = 0;
#ifdef TRAMONTANE_BFLOAT16_LANES
    if constexpr (std::is_same_v<Scalar, Bfloat16>)
      for (; first + kBfloat16Lanes <= g.channels; first += kBfloat16Lanes) gather_lanes(m, g, row, from, first);
#endif
    if (first < g.channels) gather_row_rounded_once(m, g, row, from, first, g.channels - first);
  });
}

/// gather_rows on a device: one thread does one channel of one row.
template <class Space, class Scalar>
void gather_rows_on_device(GatherRows m, GatherArguments<Scalar> g) {
  const long work = static_cast<long>(m.rows) * g.channels;
  Kokkos::parallel_for(
      "gather_rows", Kokkos::RangePolicy<Space>(0, work), KOKKOS_LAMBDA(const long index) {
        const int row = static_cast<int>(index / g.channels), c = static_cast<int>(index % g.channels);
        const std::size_t at = static_cast<std::size_t>(row) * g.target_stride + g.target_offset + c;
        using Sum = ArithmeticOf<Scalar>;
        Sum sum = g.accumulate ? static_cast<Sum>(g.target[at]) : Sum(0);
        for (int k = m.row_begin[row]; k < m.row_begin[row + 1]; ++k) {
          const int cell = m.source[k];
          const Scalar x = cell < g.local_cells
                               ? g.source[static_cast<std::size_t>(cell) * g.source_stride + g.source_offset + c]
                               : g.remote[static_cast<std::size_t>(cell - g.local_cells) * g.channels + c];
          sum += static_cast<Sum>(m.weight[k]) * static_cast<Sum>(x);
        }
        if (g.output) sum *= capped_leaky_relu_derivative<Sum>(g.output[at], g.slope, g.cap);
        g.target[at] = static_cast<Scalar>(sum);
      });
}

/// Target rows = (optionally target rows +) matrix * source rows, (optionally) times the activation's derivative.
template <class Space, class Scalar>
void gather_rows(const GatherRows& matrix, const GatherArguments<Scalar>& arguments) {
#if defined(TRAMONTANE_DEVICE_LAYOUT)
  constexpr bool on_device = std::is_same_v<Space, ExecutionSpace>;
#else
  constexpr bool on_device = false;
#endif
  if constexpr (on_device)
    gather_rows_on_device<Space>(matrix, arguments);
  else if constexpr (std::is_same_v<Scalar, ArithmeticOf<Scalar>>)
    gather_rows_in_place<Space>(matrix, arguments);
  else
    gather_rows_rounded_once<Space>(matrix, arguments);
}

/// Packs the rows of listed cells: packed (count, channels) from channels [source_offset, ...) of the source.
template <class Space, class Scalar>
void pack_rows(const int* cells, int count, const Scalar* source, int stride, int offset, int channels,
               Scalar* packed) {
  Kokkos::parallel_for(
      "pack_rows", Kokkos::RangePolicy<Space>(0, count), KOKKOS_LAMBDA(const int k) {
        const Scalar* from = source + static_cast<std::size_t>(cells[k]) * stride + offset;
        Scalar* to = packed + static_cast<std::size_t>(k) * channels;
        for (int c = 0; c < channels; ++c) to[c] = from[c];
      });
}

}  // namespace tramontane
