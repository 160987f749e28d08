/// A network at work on one back end: forward pass, and its gradient.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ml/layers/layer_kind.hpp"
#include "ml/network_halo.hpp"

namespace tramontane {

/// Forward pass. Activations are channels-last (images, T, T, channels), images as the halo deals them: this rank's
/// tiles in ascending order, repeated per sample. All memory and all layers are made in the constructor.
///
/// Every array lives in the memory that the back end names; on a device, calls return before the work is done, which
/// follows Kokkos' default instance. Scalar is float, double or Bfloat16.
template <class Scalar>
class Network {
 public:
  using Parameter = ParameterOf<Scalar>;

  /// With `one_tile_at_a_time` each convolution handles a single tile per call, so that its arithmetic cannot depend
  /// on how many tiles a rank owns. Throws InputError when halo and back end use different memories.
  Network(const NetworkGraph& graph, std::shared_ptr<Backend<Scalar>> backend,
          std::shared_ptr<NetworkHalo<Scalar>> halo, bool one_tile_at_a_time);

  const NetworkGraph& graph() const { return graph_; }
  Memory memory() const { return backend_->memory(); }
  int images() const { return images_; }
  /// Cells of all images on level 0.
  std::size_t cells() const;
  /// (images, T, T, input_stride()): the caller writes channels [0, graph.inputs); the others stay zero. Neither this
  /// nor output() may be followed on the host unless memory() is the host's: see load_input and copy_output.
  Scalar* input() { return input_.data(); }
  int input_stride() const { return input_stride_; }
  /// (images, T, T, output_stride()), channels [0, outputs) count.
  const Scalar* output() const { return steps_.back().y.data(); }
  int output_stride() const { return steps_.back().arrays.out_stride; }
  /// Copies the whole input from, or the whole output to, host memory.
  void load_input(const Scalar* host) { input_.copy_from_host(host, input_.size()); }
  void copy_output(Scalar* host) const { steps_.back().y.copy_to_host(host, steps_.back().y.size()); }

  /// Flat parameters as graph.blocks lays them out, in memory(); they must stay in place while the network uses them.
  void set_parameters(const Parameter* parameters);
  /// The same from host memory, which is copied and may go.
  void load_parameters(const Parameter* host);
  /// Whether all of them are finite, where load_parameters put them.
  bool has_finite_parameters() const;
  void forward();

  /// Called on the padded input (images, T + 2, T + 2, input_stride()) of the first layer after its halo was filled.
  /// The pointer is into memory(). Of a first layer without a border only the inner cells are used. Throws InputError
  /// if its border is wider.
  void set_input_transform(std::function<void(Scalar*)> transform);

  /// Name of the first layer whose output is not finite, or "".
  std::string first_layer_not_finite() const;

 private:
  template <class>
  friend class NetworkGradient;
  struct Step {
    NodeArrays arrays;
    std::unique_ptr<Layer<Scalar>> layer;
    MemoryBuffer<Scalar> x;  ///< padded input of a layer with a border
    MemoryBuffer<Scalar> y;
    std::vector<const Scalar*> sources;  ///< what the layer reads
  };
  void transform_inner_cells();
  const Scalar* node_output(int node) const { return node < 0 ? input_.data() : steps_[node].y.data(); }
  int node_stride(int node) const { return node < 0 ? input_stride_ : steps_[node].arrays.out_stride; }
  int node_channels(int node) const { return node < 0 ? input_stride_ : graph_.nodes[node].out_channels; }

  NetworkGraph graph_;
  std::shared_ptr<Backend<Scalar>> backend_;
  std::shared_ptr<NetworkHalo<Scalar>> halo_;
  int images_, input_stride_;
  MemoryBuffer<Scalar> input_;
  MemoryBuffer<Parameter> own_parameters_;
  std::vector<Step> steps_;  ///< one a node
  std::function<void(Scalar*)> input_transform_;
  MemoryBuffer<Scalar> padded_input_;  ///< where a first layer without a border has its input transformed
  GatherTable inner_cells_;            ///< from there to the layer's own input, one sphere's tiles at a time
};

/// Gradient of a scalar with respect to all parameters, for a network whose tiles are all local.
template <class Scalar>
class NetworkGradient {
 public:
  using Parameter = ParameterOf<Scalar>;
  /// Told that the gradient of blocks [begin, end) is complete: the pass will not touch it again.
  using BlocksDone = std::function<void(int begin, int end)>;

  /// `halo` must be the one the network was made with.
  NetworkGradient(Network<Scalar>& network, std::shared_ptr<LocalHalo<Scalar>> halo);
  /// (images, T, T, output_stride): gradient with respect to the output, written by the caller; padding stays zero. In
  /// the network's memory.
  Scalar* output_gradient() { return output_gradient_.data(); }
  /// After network.forward() and with output_gradient() set: adds the gradient to the flat buffer `parameters`, in the
  /// network's memory. `done` hears of the blocks of each node as soon as they are complete, last node first, so that
  /// every block is named once, in descending order; on a device, complete in the order of the default instance.
  void backward(Parameter* parameters, const BlocksDone& done = {});

 private:
  void contribute(int node, int source, int channel, const Scalar* dy);
  const Scalar* activated_output(int node, bool completes) const;

  Network<Scalar>& network_;
  std::shared_ptr<LocalHalo<Scalar>> halo_;
  GradientPlan plan_;
  MemoryBuffer<Scalar> output_gradient_, scratch_;
  std::vector<MemoryBuffer<Scalar>> buffers_;
};

}  // namespace tramontane
