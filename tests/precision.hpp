/// Tolerances that follow the precision of the build: what a test allows for rounding is given for double precision.
#pragma once

#include <cmath>
#include <limits>

#include "kernels/precision.hpp"

namespace tramontane::testing {

/// A bound on round-off, `in_double` in double precision: it grows with the distance between numbers.
constexpr double round_off(double in_double) {
  return in_double * kCoarseness;
}

/// A bound on the error of a method, which double precision does not touch; in single precision rounding adds
/// `spacings` times the distance between numbers at one.
constexpr double error_bound(double of_method, double spacings) {
  return kCoarseness > 1 ? of_method + spacings * kRealEpsilon : of_method;
}

/// Order of convergence between grids whose cells shrink by `refinement`; infinite where the finer one's error is
/// within `spacings` times the distance between numbers at one, below which there is none.
inline double order_of(double coarse, double fine, double refinement, double spacings) {
  return fine <= spacings * kRealEpsilon ? std::numeric_limits<double>::infinity()
                                         : std::log(coarse / fine) / std::log(refinement);
}

}  // namespace tramontane::testing
