// Convolution over a tile and its ghost cells, with bias and activation: the layer that back ends compute.
#include <fmt/format.h>

#include "kernels/errors.hpp"
#include "ml/layers/layer_kind.hpp"

namespace tramontane {
namespace {

template <class Scalar>
class ConvolutionLayer final : public Layer<Scalar> {
 public:
  using Parameter = ParameterOf<Scalar>;

  explicit ConvolutionLayer(const LayerContext<Scalar>& c) {
    const int images = static_cast<int>(c.panels.size());
    calls_ = c.one_image_at_a_time ? images : 1;
    const LayerAttributes& a = c.node.attributes;
    extents_ = {images / calls_,     c.arrays.size,      c.arrays.size,       a.kernel,  c.node.in_channels,
                c.node.out_channels, c.arrays.in_stride, c.arrays.out_stride, a.dilation};
    convolution_ = c.backend.convolution({extents_, c.node.activation});
    weights_ = c.graph.blocks[c.node.first_block].offset;
    bias_ = c.graph.blocks[c.node.first_block + 1].offset;
  }

  void set_parameters(const Parameter* parameters) override {
    convolution_->set_weights(parameters + weights_, parameters + bias_);
  }
  void forward(const std::vector<const Scalar*>& sources, Scalar* y) override {
    for (int call = 0; call < calls_; ++call) convolution_->forward(sources[0] + x_at(call), y + y_at(call));
  }
  void backward_parameters(const std::vector<const Scalar*>& sources, const Scalar* dy, Parameter* gradient) override {
    for (int call = 0; call < calls_; ++call)
      convolution_->backward_weights(sources[0] + x_at(call), dy + y_at(call), gradient + weights_, gradient + bias_);
  }
  void backward_data(const std::vector<const Scalar*>&, const Scalar* dy, int, Scalar* dx) override {
    for (int call = 0; call < calls_; ++call) convolution_->backward_data(dy + y_at(call), dx + x_at(call));
  }

 private:
  std::size_t x_at(int call) const { return extents_.x_at(call * extents_.images, 0, 0); }
  std::size_t y_at(int call) const { return extents_.y_at(call * extents_.images, 0, 0); }

  ConvolutionExtents extents_;
  std::unique_ptr<Convolution<Scalar>> convolution_;
  int calls_;
  std::size_t weights_, bias_;  ///< places in the flat parameters
};

class ConvolutionKind final : public LayerKindOf<ConvolutionLayer> {
 public:
  std::string name() const override { return "convolution"; }
  int border(const NetworkNode& node) const override {
    return node.attributes.dilation * (node.attributes.kernel - 1) / 2;
  }
  std::vector<ParameterBlock> shape(NetworkNode& node, const std::vector<int>& channels) const override {
    const LayerAttributes& a = node.attributes;
    if ((a.kernel != 1 && a.kernel != 3) || a.dilation < 1)
      throw InputError(fmt::format("layer {} has a kernel of {} cells with dilation {}: choose 1 or 3, and 1 or more",
                                   node.name, a.kernel, a.dilation));
    if (node.out_channels < 1 || channels.empty() || (a.kernel == 1 && channels.size() != 1))
      throw InputError(
          fmt::format("layer {} makes {} channels from {} sources: it needs at least one of each, and just "
                      "one source with a kernel of 1",
                      node.name, node.out_channels, channels.size()));
    const int fan_in = a.kernel * a.kernel * node.in_channels;
    return {{"weights", {a.kernel, a.kernel, node.in_channels, node.out_channels}, 0, 0, true, fan_in},
            {"bias", {node.out_channels}, 0, 0, false, 0}};
  }
  double flops_per_cell(const NetworkNode& node) const override {
    return 2.0 * node.attributes.kernel * node.attributes.kernel * node.in_channels * node.out_channels;
  }
};

}  // namespace

const LayerKind& convolution_layer() {
  static const ConvolutionKind kind;
  return kind;
}

}  // namespace tramontane
