/// The precision that the solver was built in: docs/design/precision.md.
#pragma once

#include <limits>

#include "kernels/types.hpp"

namespace tramontane {

/// As files and messages name it.
inline constexpr const char* kPrecision = sizeof(Real) == sizeof(float) ? "single" : "double";
/// From one to the next number of the state.
inline constexpr double kRealEpsilon = std::numeric_limits<Real>::epsilon();
/// The same against double's: 1, or 5.4e8 in single precision.
inline constexpr double kCoarseness = kRealEpsilon / std::numeric_limits<double>::epsilon();

}  // namespace tramontane
