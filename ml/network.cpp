#include "ml/network.hpp"

#include <algorithm>
#include <cmath>

namespace tramontane {

template <class Scalar>
Network<Scalar>::Network(const NetworkGraph& graph, std::shared_ptr<Backend<Scalar>> backend,
                         std::shared_ptr<NetworkHalo<Scalar>> halo, bool one_tile_at_a_time)
    : graph_(graph),
      backend_(std::move(backend)),
      halo_(std::move(halo)),
      images_(halo_->images()),
      input_stride_(storage_channels(graph.inputs)) {
  const int tile_cells = halo_->grid().tile_cells();
  input_ = Buffer("network input", static_cast<std::size_t>(images_) * tile_cells * tile_cells * input_stride_);
  for (std::size_t k = 0; k < graph_.nodes.size(); ++k) {
    const NetworkNode& node = graph_.nodes[k];
    const int size = tile_cells >> node.level;
    const bool reads_input = node.sources[0].node < 0, last = k + 1 == graph_.nodes.size();
    Layer layer;
    layer.calls = one_tile_at_a_time ? images_ : 1;
    layer.y_stride = last ? storage_channels(node.out_channels) : node.out_channels;
    layer.extents = {images_ / layer.calls,
                     size,
                     size,
                     node.kernel,
                     node.in_channels,
                     node.out_channels,
                     reads_input ? input_stride_ : node.in_channels,
                     layer.y_stride};
    const ConvolutionExtents& e = layer.extents;
    if (node.kernel > 1) layer.x = Buffer(node.name + " input", e.x_at(images_, 0, 0));
    layer.y = Buffer(node.name + " output", e.y_at(images_, 0, 0));
    layer.convolution = backend_->convolution({e, node.activation});
    layers_.push_back(std::move(layer));
  }
}

template <class Scalar>
void Network<Scalar>::set_parameters(const Scalar* parameters) {
  for (std::size_t k = 0; k < layers_.size(); ++k)
    layers_[k].convolution->set_weights(parameters + graph_.blocks[2 * k].offset,
                                        parameters + graph_.blocks[2 * k + 1].offset);
}

template <class Scalar>
void Network<Scalar>::forward() {
  for (std::size_t k = 0; k < layers_.size(); ++k) {
    const NetworkNode& node = graph_.nodes[k];
    Layer& layer = layers_[k];
    const ConvolutionExtents& e = layer.extents;
    if (node.kernel > 1) {
      int offset = 0;
      for (const NetworkSource& s : node.sources) {
        const int count = node_channels(s.node);
        halo_->fill(s.link, node.level, node_output(s.node), {node_stride(s.node), 0, count}, layer.x.data(),
                    {e.in_stride, offset, count});
        offset += count;
      }
      if (k == 0 && input_transform_) input_transform_(layer.x.data());
    }
    const Scalar* x = layer_input(static_cast<int>(k));
    for (int call = 0; call < layer.calls; ++call)
      layer.convolution->forward(x + e.x_at(call * e.images, 0, 0), layer.y.data() + e.y_at(call * e.images, 0, 0));
  }
}

template <class Scalar>
std::string Network<Scalar>::first_layer_not_finite() const {
  auto finite = [](const Buffer& b) {
    return std::all_of(b.data(), b.data() + b.size(), [](Scalar v) { return std::isfinite(v); });
  };
  if (!finite(input_)) return "input";
  for (std::size_t k = 0; k < layers_.size(); ++k)
    if (!finite(layers_[k].y)) return graph_.nodes[k].name;
  return "";
}

template <class Scalar>
NetworkGradient<Scalar>::NetworkGradient(Network<Scalar>& network, std::shared_ptr<LocalHalo<Scalar>> halo)
    : network_(network), halo_(std::move(halo)), uses_(network.layers_.size()) {
  std::size_t largest = 0;
  for (std::size_t k = 0; k < network_.layers_.size(); ++k) {
    const NetworkNode& node = network_.graph_.nodes[k];
    const auto& layer = network_.layers_[k];
    largest = std::max(largest, layer.y.size());
    // The gradient with respect to the network's own input is nobody's business.
    const bool needed = node.sources[0].node >= 0;
    input_gradients_.emplace_back(node.name + " input gradient",
                                  needed ? layer.extents.x_at(network_.images_, 0, 0) : std::size_t{0});
    int offset = 0;
    for (const NetworkSource& s : node.sources) {
      if (s.node >= 0) uses_[s.node].push_back({static_cast<int>(k), offset, s.link});
      offset += network_.node_channels(s.node);
    }
  }
  scratch_ = Buffer("layer gradient", largest);
  output_gradient_ = Buffer("output gradient", network_.layers_.back().y.size());
}

template <class Scalar>
void NetworkGradient<Scalar>::backward(Scalar* parameters, const BlocksDone& done) {
  const auto& nodes = network_.graph_.nodes;
  for (int k = static_cast<int>(nodes.size()) - 1; k >= 0; --k) {
    auto& layer = network_.layers_[k];
    const ConvolutionExtents& e = layer.extents;
    Scalar* dy = uses_[k].empty() ? output_gradient_.data() : scratch_.data();
    const bool active = nodes[k].activation == Activation::capped_leaky_relu;
    for (std::size_t u = 0; u < uses_[k].size(); ++u) {
      const Use& use = uses_[k][u];
      const NetworkNode& consumer = nodes[use.consumer];
      const Scalar* from = input_gradients_[use.consumer].data();
      const Scalar* output = active && u + 1 == uses_[k].size() ? layer.y.data() : nullptr;
      if (consumer.kernel == 1) {
        const std::size_t size = layer.y.size();
        const Scalar slope = kLeakySlope, cap = kLeakyCap;
        for (std::size_t c = 0; c < size; ++c)
          dy[c] = from[c] * (output ? capped_leaky_relu_derivative(output[c], slope, cap) : Scalar(1));
      } else {
        halo_->adjoint(use.link, consumer.level, from,
                       {network_.layers_[use.consumer].extents.in_stride, use.offset, nodes[k].out_channels}, dy,
                       {layer.y_stride, 0, nodes[k].out_channels}, u > 0, output, Scalar(kLeakySlope),
                       Scalar(kLeakyCap));
      }
    }
    const Scalar* x = network_.layer_input(k);
    for (int call = 0; call < layer.calls; ++call) {
      const std::size_t x_at = e.x_at(call * e.images, 0, 0), y_at = e.y_at(call * e.images, 0, 0);
      layer.convolution->backward_weights(x + x_at, dy + y_at, parameters + network_.graph_.blocks[2 * k].offset,
                                          parameters + network_.graph_.blocks[2 * k + 1].offset);
      if (input_gradients_[k].size() > 0)
        layer.convolution->backward_data(dy + y_at, input_gradients_[k].data() + x_at);
    }
    if (done) done(2 * k, 2 * k + 2);
  }
}

template class Network<float>;
template class Network<double>;
template class NetworkGradient<float>;
template class NetworkGradient<double>;

}  // namespace tramontane
