/// Which type computes and which type holds parameters where activations are stored in a given one.
#pragma once

#include "kernels/bfloat16.hpp"

namespace tramontane {

/// Type of parameters, gradients of parameters, sums and activations' derivatives of a network whose activations are
/// stored as Scalar: 16 bits are for storage only.
template <class Scalar>
struct NetworkScalar {
  using Parameter = Scalar;
  using Arithmetic = Scalar;
};
template <>
struct NetworkScalar<Bfloat16> {
  using Parameter = float;
  using Arithmetic = float;
};

template <class Scalar>
using ParameterOf = typename NetworkScalar<Scalar>::Parameter;
template <class Scalar>
using ArithmeticOf = typename NetworkScalar<Scalar>::Arithmetic;

}  // namespace tramontane
