/// Between samples as they are streamed and arrays as networks read them: order of cells, normalisation, loss.
#pragma once

#include <string>
#include <vector>

#include "kernels/network_batch.hpp"
#include "kernels/sample.hpp"
#include "kernels/tiling.hpp"
#include "ml/memory.hpp"
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

/// Lays samples out for a network on all tiles of a grid and evaluates the loss there, in the network's memory. The
/// samples of a batch are staged once: in host memory they are read where they stand, to a device they are copied.
class BatchLayout {
 public:
  /// Throws InputError when the sizes of the static fields do not fit the grid.
  BatchLayout(const Tiling& grid, StaticFields statics, int inputs, int targets, Memory memory = Memory::host);

  int cells() const { return grid_.cell_count(); }
  int inputs() const { return inputs_; }
  int targets() const { return targets_; }
  const StaticFields& statics() const { return statics_; }
  const PanelFrames& frames() const { return frames_; }

  /// Changes when an array was too small and another took its place: what was recorded with the old address is void.
  int generation() const { return generation_; }

  /// To be called before gather.
  void set_normaliser(const Normaliser& normaliser);

  /// "" or why the sample cannot be read: its sizes.
  std::string misfit(const Sample& sample) const;
  /// "" or which of the sample's normalised values is not finite.
  std::string not_finite(const Sample& sample) const;

  /// Makes the fields of samples [0, samples.size()) readable for gather and errors. They must fit, and stay in place
  /// until they have been used.
  void stage(const std::vector<const Sample*>& samples);

  /// Static fields into the channels after the inputs, of `samples` spheres of network input (samples, cells, stride),
  /// where nothing else writes: once is enough.
  template <class Scalar>
  void write_statics(int samples, int stride, Scalar* input) const;

  /// Normalised inputs of staged samples [first, first + count) into network input (count, cells, stride).
  /// *not_finite, in the network's memory, becomes 1 if one is not.
  template <class Scalar>
  void gather(std::size_t first, int count, int stride, Scalar* input, std::int64_t* not_finite) const;

  /// Squared errors of staged samples [first, first + count) against a network's output (count, cells, stride), or
  /// against zero if it is null: sum over cells of area * (prediction - target)^2, over the sphere's area. Returns an
  /// array (count, planes) that the next call overwrites: one plane a target, or with planes = 1 their sum. With
  /// `gradient` (capacity, cells, stride), also writes scale * d(sum of errors)/d(output), and zero beyond the count.
  template <class Scalar>
  const MemoryBuffer<double>& errors(std::size_t first, int count, int planes, int stride, const Scalar* prediction,
                                     double scale = 0, int capacity = 0, Scalar* gradient = nullptr);

 private:
  BatchTables tables() const;

  Tiling grid_;
  StaticFields statics_;
  int inputs_, targets_;
  Memory memory_;
  int generation_ = 0;
  PanelFrames frames_;
  Normaliser normaliser_;
  std::vector<int> order_;         ///< of each cell in the order of tiles: its offset in a field (6, n, n)
  MemoryBuffer<int> global_cell_;  ///< the same
  MemoryBuffer<double> weight_;    ///< area over total area, in the order of tiles
  MemoryBuffer<float> scales_;     ///< input means, one over input deviations, one over target deviations
  MemoryBuffer<SampleFields> fields_;
  std::vector<SampleFields> host_fields_;
  MemoryBuffer<float> staged_;  ///< on a device: raw samples, (samples, inputs + targets, cells)
  std::vector<float> packed_;   ///< the same on their way
  MemoryBuffer<double> cell_errors_, workspace_, sums_;
};

}  // namespace tramontane
