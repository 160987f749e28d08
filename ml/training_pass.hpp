/// A few samples on their way through the network and back, whatever type its activations are stored in.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ml/backend_options.hpp"
#include "ml/batch.hpp"
#include "ml/network.hpp"

namespace tramontane {

/// Parameters and their gradients are single precision everywhere, and so are targets and loss. All arrays are in the
/// memory of the back end.
class TrainingPass {
 public:
  using BlocksDone = std::function<void(int begin, int end)>;

  virtual ~TrainingPass() = default;
  virtual Memory memory() const = 0;
  /// Which samples the pass reads; comes before all that follows, and `layout` must outlive the pass.
  virtual void read_from(BatchLayout& layout) = 0;
  virtual void set_parameters(const float* parameters) = 0;
  /// The rest as in BatchLayout, Network and NetworkGradient, for `count` staged samples from `first` on.
  virtual void gather(std::size_t first, int count, std::int64_t* not_finite) = 0;
  virtual void forward() = 0;
  virtual const MemoryBuffer<double>& errors(std::size_t first, int count, int planes) = 0;
  /// Errors with planes = 1; also leaves the gradient of scale times their sum for backward().
  virtual const MemoryBuffer<double>& loss(std::size_t first, int count, double scale) = 0;
  virtual void backward(float* gradient, const BlocksDone& done = {}) = 0;
  virtual std::string first_layer_not_finite() const = 0;
};

/// Names of make_training_pass: "f32", "tf32" for single precision multiplied as cuDNN's tf32 does, and "bf16" for
/// activations and packed weights of 16 bits.
std::vector<std::string> training_precisions();

/// Throws InputError, in one sentence, if there is no such precision or the back end lacks it on this processor.
void check_precision(const std::string& precision, const std::string& backend);

/// A pass of at most `samples` spheres. Throws as check_precision does. With tf32, options.tf32 must be set.
std::unique_ptr<TrainingPass> make_training_pass(const std::string& precision, const std::string& backend,
                                                 const NetworkGraph& graph, const Tiling& grid, int samples,
                                                 const BackendOptions& options = {});

}  // namespace tramontane
