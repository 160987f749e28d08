/// Arrays of pseudo-random numbers for the tests of the networks.
#pragma once

#include <cmath>
#include <vector>

#include "ml/counter_random.hpp"
#include "ml/network.hpp"

namespace tramontane::testing {

/// Uniform in [-1, 1), a function of (seed, index) only.
template <class Scalar>
std::vector<Scalar> noise(std::size_t size, std::uint64_t seed) {
  std::vector<Scalar> values(size);
  for (std::size_t k = 0; k < size; ++k)
    values[k] = static_cast<Scalar>(2 * uniform_at(seed, RandomStream::self_test, k) - 1);
  return values;
}

template <class Scalar>
double dot_product(const std::vector<Scalar>& a, const std::vector<Scalar>& b) {
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += static_cast<double>(a[k]) * static_cast<double>(b[k]);
  return sum;
}

/// Largest difference over the largest magnitude of b.
template <class A, class B>
double relative_difference(const std::vector<A>& a, const std::vector<B>& b) {
  double difference = 0, magnitude = 0;
  for (std::size_t k = 0; k < b.size(); ++k) {
    difference = std::max(difference, std::abs(static_cast<double>(a[k]) - static_cast<double>(b[k])));
    magnitude = std::max(magnitude, std::abs(static_cast<double>(b[k])));
  }
  return difference / magnitude;
}

/// Parameters that leave no layer trivial: the output layer is not zero.
template <class Scalar>
std::vector<Scalar> lively_parameters(const NetworkGraph& graph) {
  const std::vector<float> start = initial_parameters(graph, 7);
  std::vector<Scalar> parameters(start.begin(), start.end());
  for (const ParameterBlock& block : graph.blocks) {
    const double centre = block.initial == InitialValues::one ? 1 : 0;
    if (block.initial != InitialValues::he || !block.decays)
      for (std::size_t k = 0; k < block.size; ++k)
        parameters[block.offset + k] =
            static_cast<Scalar>(centre + 0.3 * (2 * uniform_at(8, RandomStream::self_test, block.offset + k) - 1));
  }
  return parameters;
}

/// Writes noise into the used channels of a network's input.
template <class Scalar>
void fill_input(Network<Scalar>& network, std::size_t cells, std::uint64_t seed) {
  const int channels = network.graph().inputs;
  const std::vector<Scalar> values = noise<Scalar>(cells * channels, seed);
  for (std::size_t cell = 0; cell < cells; ++cell)
    for (int c = 0; c < channels; ++c) network.input()[cell * network.input_stride() + c] = values[cell * channels + c];
}

}  // namespace tramontane::testing
