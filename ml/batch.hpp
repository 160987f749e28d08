/// Between samples as they are streamed and arrays as networks read them: order of cells, normalisation, loss.
#pragma once

#include <string>
#include <vector>

#include "kernels/sample.hpp"
#include "kernels/tiling.hpp"
#include "ml/normaliser.hpp"
#include "ml/panel_frames.hpp"

namespace tramontane {

/// Fields that never change, appended to the samples' inputs; they should be of order one as they come.
struct StaticFields {
  std::vector<Variable> variables;  ///< names and units
  std::vector<float> values;        ///< (variables, 6, n, n)
  std::vector<double> area;         ///< (6, n, n) cell areas, any unit: weights of loss and normaliser
  PanelAxesTable axes;              ///< frames for the vectors; empty: the network gets Cartesian components
};

/// Lays samples out for a network on all tiles of a grid and evaluates the loss there.
class BatchLayout {
 public:
  /// Throws InputError when the sizes of the static fields do not fit the grid.
  BatchLayout(const Tiling& grid, StaticFields statics, int inputs, int targets);

  int cells() const { return grid_.cell_count(); }
  int inputs() const { return inputs_; }
  int targets() const { return targets_; }
  const StaticFields& statics() const { return statics_; }

  /// Normalised inputs and static channels of one sample into network input (6 tiles.., T, T, stride). Returns "" or
  /// what is wrong with the sample: size, or a value that is not finite (with variable and sample number).
  std::string gather(const Sample& sample, const Normaliser& normaliser, float* input, int stride,
                     std::vector<float>& target) const;

  /// Squared error of one sample, per target variable: sum over cells of area * (prediction - target)^2, over the
  /// sphere's area. Prediction (cells, stride), target (cells, targets) normalised. With `gradient` (cells, stride),
  /// also writes scale * d(sum over variables)/d(prediction). A null prediction stands for zero.
  void squared_error(const float* prediction, int stride, const std::vector<float>& target, double scale,
                     std::vector<double>& per_variable, float* gradient) const;

 private:
  Tiling grid_;
  StaticFields statics_;
  int inputs_, targets_;
  std::vector<int> global_cell_;  ///< of each cell in the order of tiles: its offset in a field (6, n, n)
  std::vector<double> weight_;    ///< area over total area, in the order of tiles
};

}  // namespace tramontane
