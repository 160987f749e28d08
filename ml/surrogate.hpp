/// A trained network at work on the ranks of a solver.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ml/model.hpp"
#include "ml/network.hpp"
#include "ml/panel_frames.hpp"

namespace tramontane {

/// Domain-parallel inference: each rank holds its tiles of one sphere, halos travel through MPI. The result does not
/// depend on the number of ranks, not in a single bit.
class Surrogate {
 public:
  /// Collective over `solvers`, whose size is tiling.ranks. Throws InputError if the model's grid is not the tiling's,
  /// or its levels do not divide the tiles.
  /// `axes` are needed when the model's vectors meet it in the panels' frames (InputError without).
  Surrogate(const Model& model, const Tiling& tiling, MPI_Comm solvers, const std::string& backend = "auto",
            double deadline_seconds = 300, const PanelAxesTable& axes = {});
  Surrogate(const Surrogate&) = delete;  // its network calls back into it
  Surrogate& operator=(const Surrogate&) = delete;

  /// inputs: (model.inputs, owned tiles, T, T) in physical units; statics: (model.statics, owned tiles, T, T) as the
  /// network was trained with. Returns (model.targets, owned tiles, T, T) in physical units, each value clamped to the
  /// model's bound. Removing the global mean of h_tendency is the caller's: it needs the cells' areas. A state that is
  /// not finite comes out as such. Collective; throws RunError if a peer does not answer in time, InputError if a size
  /// is wrong.
  std::vector<float> evaluate(const std::vector<float>& inputs, const std::vector<float>& statics);

  /// Takes over newer weights, normaliser and bounds of the same network. Throws InputError if it is another network.
  void update(const Model& model);

  const Model& model() const { return model_; }
  /// Floating-point operations of one evaluation of the whole sphere.
  double flops() const { return network_->graph().flops_per_sample(tiling_.n); }

 private:
  Model model_;
  Tiling tiling_;
  std::size_t cells_ = 0;              ///< owned by this rank
  PanelFrames frames_, input_frames_;  ///< on the host, and in the network's memory
  std::unique_ptr<Network<float>> network_;
  std::vector<float> input_, prediction_;  ///< the network's, on the host
};

}  // namespace tramontane
