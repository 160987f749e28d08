/// What a tracer is: name, units, bounds and how they are kept. See tracer_transport.hpp.
#pragma once

#include <limits>
#include <string>

namespace tramontane {

/// How a tracer's face values are kept within bounds. `global`: within [lower, upper]. `local`: within the least and
/// the largest mean of the cell and its eight neighbours, and within [lower, upper].
enum class TracerLimiter { none, global, local };

/// One tracer.
struct TracerOptions {
  std::string name;         ///< as in files
  std::string units = "1";  ///< of the mixing ratio
  TracerLimiter limiter = TracerLimiter::none;
  double lower = -std::numeric_limits<double>::infinity(), upper = std::numeric_limits<double>::infinity();
};

}  // namespace tramontane
