/// Kernels of a convolution turned upside down: its rows of taps in the other order.
#pragma once

#include "kernels/types.hpp"

namespace tramontane {

/// flipped (rows, size) = (accumulate ? flipped : 0) + weights (rows, size) with the order of rows reversed.
template <class Space, class Parameter>
void flip_rows(int rows, std::size_t size, const Parameter* weights, bool accumulate, Parameter* flipped) {
  Kokkos::parallel_for(
      "flip_rows", Kokkos::RangePolicy<Space, Kokkos::IndexType<std::size_t>>(0, rows * size),
      KOKKOS_LAMBDA(const std::size_t k) {
        const Parameter value = weights[(rows - 1 - k / size) * size + k % size];
        flipped[k] = accumulate ? flipped[k] + value : value;
      });
}

}  // namespace tramontane
