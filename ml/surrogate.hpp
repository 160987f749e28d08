/// A trained network at work on the ranks of a solver.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ml/model.hpp"
#include "ml/network.hpp"
#include "ml/panel_frames.hpp"
#include "ml/surrogate_guard.hpp"

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

  /// From now on evaluate() weighs what the network says, see SurrogateGuard. Collective; positions as it takes them.
  void set_guard(const GuardOptions& options, const CellPositions& positions);
  /// inputs: (model.inputs, owned tiles, T, T) in physical units; statics: (model.statics, owned tiles, T, T) as the
  /// network was trained with. Returns (model.targets, owned tiles, T, T) in physical units, each value clamped to the
  /// model's bound and, with a guard, multiplied by its weights. Removing the global mean of h_tendency is the caller's:
  /// it needs the cells' areas. A state that is not finite comes out as such, with a guard as zero. Collective; throws
  /// RunError if a peer does not answer in time, InputError if a size is wrong.
  std::vector<float> evaluate(std::span<const float> inputs, std::span<const float> statics);

  /// Takes over newer weights, normaliser and bounds of the same network. Throws InputError if it is another network.
  void update(const Model& model);

  const Model& model() const { return model_; }
  /// Values of the last call that the bounds cut off.
  std::int64_t clamped() const { return clamped_; }
  /// Values of the last call that the network gave as NaN or infinity, on this rank. Bounds turn infinity into a number.
  std::int64_t not_finite() const { return not_finite_; }
  /// Null without set_guard.
  const SurrogateGuard* guard() const { return guard_.get(); }
  /// Of the last call, with a guard.
  const GuardReport& guard_report() const { return guard_report_; }
  /// Floating-point operations of one evaluation of the whole sphere.
  double flops() const { return network_->graph().flops_per_sample(tiling_.n); }

 private:
  void scale_outputs();

  Model model_;
  Tiling tiling_;
  OwnedCommunicator comm_;
  double deadline_;
  std::size_t cells_ = 0;  ///< owned by this rank
  PanelFrames frames_;
  std::unique_ptr<Network<float>> network_;
  std::unique_ptr<SurrogateGuard> guard_;
  GuardReport guard_report_;
  std::int64_t clamped_ = 0, not_finite_ = 0;
  std::vector<float> input_, prediction_;  ///< the network's, on the host
  MemoryBuffer<float> physical_;           ///< (cells, output stride) in the network's memory
  MemoryBuffer<float> output_scale_;       ///< deviations and bounds of the targets, there
};

}  // namespace tramontane
