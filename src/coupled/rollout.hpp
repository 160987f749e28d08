/// The hybrid, run for a few coupling intervals from a sample of an archive, on one rank.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "kernels/sample.hpp"
#include "ml/surrogate.hpp"
#include "src/coupled/simulation.hpp"

namespace tramontane {

/// A coarse solver of its own on MPI_COMM_SELF with a network as its correction. What comes out depends on the samples
/// and the weights alone, not on what was rolled out before nor on the other ranks.
class Rollout {
 public:
  /// @param n cells along a panel edge of the samples' grid
  /// @param orography of that grid as samples hold it, m, (6, n, n)
  Rollout(const Deck& deck, int n, const std::vector<float>& orography);

  /// The network of the rollouts; to be called before the first with more than one interval. Another set of weights of
  /// the same network is quick. Throws InputError for a model of another grid.
  void set_model(const Model& model);

  /// Runs the hybrid for `intervals` - 1 coupling intervals from the input of `start`, which leads to a state x^; then
  /// the coarse solver alone for one more. Returns the training pair there (List et al. 2024, Brandstetter et al. 2022):
  /// input(x^), and as target what would bring the coarse solver's state to the truth, the input of `truth`, over that
  /// interval. No derivative is taken of anything. Its info is that of `start`. Nothing when a state on the way or the
  /// pair is not finite, or calls for steps so short that it is about to blow up.
  std::optional<Sample> pair(const Sample& start, const Sample& truth, int intervals);

 private:
  void set_state(const Sample& sample);
  CellFields fields_of(const Sample& sample) const;
  void hold_correction();
  bool advance();

  const Deck& deck_;
  std::size_t cells_;
  std::unique_ptr<Simulation> simulation_;
  std::unique_ptr<Surrogate> surrogate_;
  std::vector<float> statics_;
  long first_steps_ = 0;  ///< of the rollout's first interval
};

}  // namespace tramontane
