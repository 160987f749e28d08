/// Another program's network at work on the ranks of a solver.
#pragma once

#include <vector>

#include "kernels/tiling.hpp"
#include "ml/mpi_deadline.hpp"
#include "ml/onnx/model_import.hpp"

namespace tramontane {

/// A graph's operators do not say where cells meet, so it can not be cut into tiles: every rank gathers the whole
/// sphere, evaluates all of it and keeps its own tiles. The result is the same on any number of ranks.
class GraphSurrogate {
 public:
  /// Collective over `solvers`, whose size is tiling.ranks. Throws InputError if the graph's grid is not the tiling's.
  GraphSurrogate(const OnnxModel& model, const Tiling& tiling, MPI_Comm solvers, double deadline_seconds);

  /// inputs: (model.inputs, owned tiles, T, T) in physical units. Returns (model.targets, owned tiles, T, T), clamped to
  /// the bounds if the file names some. Collective; throws RunError if a peer does not answer in time.
  std::vector<float> evaluate(const std::vector<float>& inputs);

  /// Empty if the file names none.
  const std::vector<double>& bounds() const { return model_.model.normaliser.bound; }

 private:
  OnnxModel model_;
  Tiling tiling_;
  OwnedCommunicator comm_;
  double deadline_;
};

}  // namespace tramontane
