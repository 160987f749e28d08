/// Repeated timing on all ranks: medians with their spread, so that a machine shared with other work shows.
#pragma once

#include <mpi.h>

#include <Kokkos_Core.hpp>
#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <vector>

namespace tramontane {

/// Seconds of the process on its core, which other processes do not add to.
inline double processor_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

/// Samples of one duration, s.
class Samples {
 public:
  void add(double seconds) { seconds_.push_back(seconds); }
  std::size_t size() const { return seconds_.size(); }
  double minimum() const { return quantile(0.0); }
  double median() const { return quantile(0.5); }
  /// Nearest sample from below.
  double quantile(double share) const {
    if (seconds_.empty()) return 0;
    std::vector<double> sorted(seconds_);
    std::sort(sorted.begin(), sorted.end());
    return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
  }
  nlohmann::ordered_json json() const {
    return {{"minimum", minimum()},
            {"lower_quartile", quantile(0.25)},
            {"median", median()},
            {"upper_quartile", quantile(0.75)},
            {"repeats", size()}};
  }

 private:
  std::vector<double> seconds_;
};

/// Wall clock (of the slowest rank) and processor time (mean over ranks) of a piece of work.
struct Timing {
  Samples wall, processor;
  nlohmann::ordered_json json() const {
    auto out = wall.json();
    out["processor_minimum"] = processor.minimum();
    out["processor_lower_quartile"] = processor.quantile(0.25);
    out["processor_median"] = processor.median();
    return out;
  }
};

/// Repeats `work` for about `budget` seconds, five to a thousand times, after one call that is not counted. Collective:
/// all ranks begin each call together and make the same number of calls.
template <class Work>
Timing measure(MPI_Comm comm, double budget, const Work& work) {
  constexpr int least = 5, most = 1000;
  int ranks = 1;
  MPI_Comm_size(comm, &ranks);
  Timing timing;
  double spent = 0;
  for (int k = -1; k < most && (k < least || spent < budget); ++k) {
    Kokkos::fence();
    MPI_Barrier(comm);
    const double processor_began = processor_seconds(), began = MPI_Wtime();
    work();
    Kokkos::fence();
    double wall = MPI_Wtime() - began, processor = processor_seconds() - processor_began;
    MPI_Allreduce(MPI_IN_PLACE, &wall, 1, MPI_DOUBLE, MPI_MAX, comm);
    MPI_Allreduce(MPI_IN_PLACE, &processor, 1, MPI_DOUBLE, MPI_SUM, comm);
    spent += wall;
    if (k < 0) continue;
    timing.wall.add(wall);
    timing.processor.add(processor / ranks);
  }
  return timing;
}

}  // namespace tramontane
