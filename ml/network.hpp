/// A network at work on one back end: forward pass, and its gradient.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ml/unet.hpp"

namespace tramontane {

/// Forward pass. Activations are channels-last (images, T, T, channels), images as the halo deals them: this rank's
/// tiles in ascending order, repeated per sample. All memory and all layers are made in the constructor.
template <class Scalar>
class Network {
 public:
  /// With `one_tile_at_a_time` each convolution handles a single tile per call, so that its arithmetic cannot depend
  /// on how many tiles a rank owns.
  Network(const NetworkGraph& graph, std::shared_ptr<Backend<Scalar>> backend,
          std::shared_ptr<NetworkHalo<Scalar>> halo, bool one_tile_at_a_time);

  const NetworkGraph& graph() const { return graph_; }
  Memory memory() const { return backend_->memory(); }
  int images() const { return images_; }
  /// (images, T, T, input_stride()): the caller writes channels [0, graph.inputs); the others stay zero.
  Scalar* input() { return input_.data(); }
  int input_stride() const { return input_stride_; }
  /// (images, T, T, output_stride()), channels [0, outputs) count.
  const Scalar* output() const { return layers_.back().y.data(); }
  int output_stride() const { return layers_.back().y_stride; }

  /// Flat parameters as graph.blocks lays them out; they must stay in place while the network uses them.
  void set_parameters(const Scalar* parameters);
  void forward();

  /// Called on the padded input (images, T + 2, T + 2, input_stride()) of the first convolution, which must be 3 x 3,
  /// after its halo was filled.
  void set_input_transform(std::function<void(Scalar*)> transform) { input_transform_ = std::move(transform); }

  /// Name of the first layer whose output is not finite, or "".
  std::string first_layer_not_finite() const;

 private:
  template <class>
  friend class NetworkGradient;
  using Buffer = Kokkos::View<Scalar*, Kokkos::HostSpace>;
  struct Layer {
    ConvolutionExtents extents;
    std::unique_ptr<Convolution<Scalar>> convolution;
    Buffer x;  ///< padded input; empty for 1 x 1 convolutions, which read their source
    Buffer y;
    int y_stride;
    int calls;  ///< of the convolution, each on extents.images images
  };
  const Scalar* node_output(int node) const { return node < 0 ? input_.data() : layers_[node].y.data(); }
  int node_stride(int node) const { return node < 0 ? input_stride_ : layers_[node].y_stride; }
  int node_channels(int node) const { return node < 0 ? input_stride_ : graph_.nodes[node].out_channels; }
  const Scalar* layer_input(int node) const {
    return graph_.nodes[node].kernel == 1 ? node_output(graph_.nodes[node].sources[0].node) : layers_[node].x.data();
  }

  NetworkGraph graph_;
  std::shared_ptr<Backend<Scalar>> backend_;
  std::shared_ptr<NetworkHalo<Scalar>> halo_;
  int images_, input_stride_;
  Buffer input_;
  std::vector<Layer> layers_;
  std::function<void(Scalar*)> input_transform_;
};

/// Gradient of a scalar with respect to all parameters, for a network whose tiles are all local.
template <class Scalar>
class NetworkGradient {
 public:
  /// Told that the gradient of blocks [begin, end) is complete: the pass will not touch it again.
  using BlocksDone = std::function<void(int begin, int end)>;

  /// `halo` must be the one the network was made with.
  NetworkGradient(Network<Scalar>& network, std::shared_ptr<LocalHalo<Scalar>> halo);
  /// (images, T, T, output_stride): gradient with respect to the output, written by the caller; padding stays zero.
  Scalar* output_gradient() { return output_gradient_.data(); }
  /// After network.forward() and with output_gradient() set: adds the gradient to the flat buffer `parameters`. `done`
  /// hears of the blocks of each node as soon as they are complete, last node first.
  void backward(Scalar* parameters, const BlocksDone& done = {});

 private:
  using Buffer = typename Network<Scalar>::Buffer;
  Network<Scalar>& network_;
  std::shared_ptr<LocalHalo<Scalar>> halo_;
  Buffer output_gradient_, scratch_;
  std::vector<Buffer> input_gradients_;  ///< per node, shaped as its (padded) input
  struct Use {
    int consumer, offset;
    CellLink link;
  };
  std::vector<std::vector<Use>> uses_;  ///< per node: who reads it, and at which channel of the reader's input
};

}  // namespace tramontane
