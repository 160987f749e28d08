/// Energy that the processors of this node took, where the kernel lets us read it.
#pragma once

#include <string>
#include <vector>

#include "src/output/summary.hpp"

namespace tramontane {

/// Reads the package counters of RAPL (powercap in sysfs) at construction and again in read(). Counters that wrapped
/// once in between are unwrapped by their stated range; longer runs must read in between.
class EnergyMeter {
 public:
  EnergyMeter();
  /// Joules of this node since construction, source "rapl"; or none, "unavailable".
  EnergySummary read() const;

 private:
  struct Counter {
    std::string file;
    double start = 0, range = 0;  ///< micro-joules
  };
  std::vector<Counter> counters_;
};

}  // namespace tramontane
