/// What the guard's weights do to a hybrid forecast: the mass stays, and how much ran on physics alone is kept.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "ml/surrogate_guard.hpp"
#include "physics/grid.hpp"

namespace tramontane {

/// Takes the mean out of a weighted depth tendency in proportion to the weights, d - w sum(A d) / sum(A w) with A the
/// cells' areas, so that its integral is zero to round-off and cells of weight zero stay as they are: physics alone.
/// Returns the sum of 1 - w over all cells. Collective; the same bits on any ranks. Leaves a tendency whose weights are
/// all one alone. @param weights, depth on owned tiles
double restore_mass(const Grid& grid, MPI_Comm comm, const std::vector<float>& weights, std::vector<double>& depth);

/// Counts of a hybrid: cell-calls, and the part of them that ran on physics alone, the sum of one less the weight.
class FallbackTally {
 public:
  FallbackTally() = default;
  explicit FallbackTally(const Grid& grid)
      : cells_(grid.tiling().cell_count()),
        deficit_(static_cast<std::size_t>(grid.tile_count()) * grid.tiling().cells_per_tile(), 0.0) {}

  /// @param lost sum of 1 - w over all cells of the sphere
  void add(const std::vector<float>& weights, double lost, const GuardReport& report);
  /// Why the last call that was broken was, and on which rank: "its weights are not finite on solver rank 1"; empty if
  /// none was. The same on every rank, without a message.
  const std::string& why_broken() const { return why_broken_; }
  bool is_broken() const { return is_broken_; }  ///< the last call

  /// Share of the last call, and of all: the same on every rank without a message.
  double last() const { return last_; }
  double fraction() const { return calls_ > 0 ? lost_ / (static_cast<double>(calls_) * static_cast<double>(cells_)) : 0; }
  /// Means of 1 - w on owned cells since this was last asked for. Empty if there was no call.
  std::vector<double> take_map();

  /// Sum of one less the weight, and cell-calls whose inputs, or whose outputs, were foreign, as shares of all cell-calls;
  /// calls that a value that is not finite disarmed altogether.
  struct Shares {
    double lost = 0, input = 0, output = 0;
    std::int64_t broken_calls = 0;
  };
  /// Of the calls since this one was `before`. Collective.
  Shares since(const FallbackTally& before, MPI_Comm comm) const;

 private:
  std::int64_t cells_ = 0, calls_ = 0, map_calls_ = 0, broken_ = 0, input_ = 0, output_ = 0;
  double last_ = 0, lost_ = 0;
  std::vector<double> deficit_;
  std::string why_broken_;
  bool is_broken_ = false;
};

}  // namespace tramontane
