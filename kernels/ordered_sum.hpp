/// Sums in double precision whose order is fixed by the number of terms alone: the same bits from run to run, on any
/// number of threads, without a round trip to the host.
#pragma once

#include "kernels/exact_sums.hpp"

namespace tramontane {

/// Terms of an ordered sum.
struct Elements {
  const double* values;
  KOKKOS_INLINE_FUNCTION double operator()(std::size_t k) const { return values[k]; }
};
struct SquaresOfElements {
  const float* values;
  KOKKOS_INLINE_FUNCTION double operator()(std::size_t k) const {
    return static_cast<double>(values[k]) * static_cast<double>(values[k]);
  }
};

/// How `count` terms are added: in chunks of `rows` rows of 32 lanes, each lane down its chunk, then each lane over the
/// chunks, then over the lanes.
struct SumOrder {
  static constexpr std::size_t lanes = 32;
  std::size_t count, rows, chunks;

  explicit SumOrder(std::size_t terms) : count(terms) {
    const std::size_t most_chunks = 512, least_rows = 32;
    rows = (count + lanes * most_chunks - 1) / (lanes * most_chunks);
    rows = rows < least_rows ? least_rows : rows;
    chunks = (count + lanes * rows - 1) / (lanes * rows);
  }
  std::size_t partials() const { return chunks * lanes; }
};

/// Workspace of ordered_sums, in doubles.
inline std::size_t ordered_sums_workspace(std::size_t segments, std::size_t count) {
  return segments * SumOrder(count).partials();
}

/// First step on the host: one iteration does a chunk, its lanes in registers.
template <class Space, class Term>
void sum_chunks_on_host(std::size_t segments, SumOrder order, Term term, double* partial) {
  Kokkos::parallel_for("sum_chunks", Kokkos::RangePolicy<Space>(0, segments * order.chunks),
                       [=](const std::size_t index) {
                         constexpr std::size_t lanes = SumOrder::lanes;
                         const std::size_t segment = index / order.chunks, chunk = index % order.chunks,
                                           first = chunk * order.rows * lanes;
                         const std::size_t size = block_end(first, order.rows * lanes, order.count) - first,
                                           from = segment * order.count + first;
                         double sum[lanes] = {};
                         std::size_t k = 0;
                         for (; k + lanes <= size; k += lanes)
#pragma omp simd
                           for (std::size_t lane = 0; lane < lanes; ++lane) sum[lane] += term(from + k + lane);
                         for (std::size_t lane = 0; k + lane < size; ++lane) sum[lane] += term(from + k + lane);
                         for (std::size_t lane = 0; lane < lanes; ++lane) partial[index * lanes + lane] = sum[lane];
                       });
}

/// The same on a device: one thread does a lane of a chunk.
template <class Space, class Term>
void sum_chunks_on_device(std::size_t segments, SumOrder order, Term term, double* partial) {
  Kokkos::parallel_for(
      "sum_chunks", Kokkos::RangePolicy<Space>(0, segments * order.partials()), KOKKOS_LAMBDA(const std::size_t index) {
        constexpr std::size_t lanes = SumOrder::lanes;
        const std::size_t lane = index % lanes, segment = index / lanes / order.chunks,
                          first = index / lanes % order.chunks * order.rows * lanes;
        const std::size_t size = block_end(first, order.rows * lanes, order.count) - first,
                          from = segment * order.count + first;
        double sum = 0;
        for (std::size_t k = lane; k < size; k += lanes) sum += term(from + k);
        partial[index] = sum;
      });
}

/// result[s] = the sum of term(k) over k in [s count, (s + 1) count) for each of `segments` segments.
template <class Space, class Term>
void ordered_sums(std::size_t segments, std::size_t count, Term term, double* workspace, double* result) {
  const SumOrder order(count);
  if constexpr (kElementsAThread<Space> == 1)
    sum_chunks_on_device<Space>(segments, order, term, workspace);
  else
    sum_chunks_on_host<Space>(segments, order, term, workspace);
  constexpr std::size_t lanes = SumOrder::lanes;
  const std::size_t chunks = order.chunks;
  Kokkos::parallel_for(
      "sum_lanes", Kokkos::RangePolicy<Space>(0, segments * lanes), KOKKOS_LAMBDA(const std::size_t index) {
        double* partial = workspace + index / lanes * chunks * lanes + index % lanes;
        double sum = 0;
        for (std::size_t chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk * lanes];
        partial[0] = sum;
      });
  Kokkos::parallel_for(
      "sum_segments", Kokkos::RangePolicy<Space>(0, segments), KOKKOS_LAMBDA(const std::size_t segment) {
        const double* partial = workspace + segment * chunks * lanes;
        double sum = 0;
        for (std::size_t lane = 0; lane < lanes; ++lane) sum += partial[lane];
        result[segment] = sum;
      });
}

}  // namespace tramontane
