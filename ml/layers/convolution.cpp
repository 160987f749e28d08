// Convolution over a tile and its ghost cells, with bias and activation: the layer that back ends compute.
//
// With polar kernels the four panels around the equator share one kernel and the two at the poles another (Weyn et al.
// 2020). On the north panel beta grows towards panel 2 from panel 0, on the south panel the other way round; the south
// panel is treated as the mirror image of the north one, so that the same tap faces the same neighbour on both.
// Flipping the image, convolving and flipping back is convolving with the kernel's rows reversed, which is done here.
#include <fmt/format.h>

#include <array>
#include <map>
#include <utility>

#include "kernels/errors.hpp"
#include "kernels/network_elementwise.hpp"
#include "kernels/network_flip.hpp"
#include "kernels/panel_topology.hpp"
#include "ml/layers/layer_kind.hpp"

namespace tramontane {
namespace {

/// Which kernel an image is convolved with.
enum class KernelSet { shared, north, south };

KernelSet set_of(int panel, bool polar) {
  constexpr int kNorthPanel = 4;
  if (!polar || panel < kNorthPanel) return KernelSet::shared;
  return panel == kNorthPanel ? KernelSet::north : KernelSet::south;
}

template <class Scalar>
class ConvolutionLayer final : public Layer<Scalar> {
 public:
  using Parameter = ParameterOf<Scalar>;

  explicit ConvolutionLayer(const LayerContext<Scalar>& c) : memory_(c.backend.memory()) {
    const LayerAttributes& a = c.node.attributes;
    extents_ = {1,
                c.arrays.size,
                c.arrays.size,
                a.kernel,
                c.node.in_channels,
                c.node.out_channels,
                c.arrays.in_stride,
                c.arrays.out_stride,
                a.dilation};
    for (int b = 0; b < c.node.block_count; ++b) places_.push_back(c.graph.blocks[c.node.first_block + b].offset);
    const int images = static_cast<int>(c.panels.size());
    for (int image = 0; image < images; ++image) {
      const KernelSet set = set_of(c.panels[image], a.polar);
      if (runs_.empty() || runs_.back().set != set || c.one_image_at_a_time) runs_.push_back({image, 0, set, nullptr});
      ++runs_.back().images;
    }
    for (Run& run : runs_) {
      auto& made = convolutions_[{run.set, run.images}];
      ConvolutionExtents extents = extents_;
      extents.images = run.images;
      if (!made) made = c.backend.convolution({extents, c.node.activation});
      run.convolution = made.get();
      has_south_ = has_south_ || run.set == KernelSet::south;
    }
    if (has_south_) flipped_ = MemoryBuffer<Parameter>("flipped kernel", extents_.weights(), memory_);
  }

  void set_parameters(const Parameter* parameters) override {
    if (has_south_) flip(parameters + places_[2], false, flipped_.data());
    for (auto& [key, convolution] : convolutions_) {
      const KernelSet set = key.first;
      const bool shared = set == KernelSet::shared;
      convolution->set_weights(set == KernelSet::south ? flipped_.data() : parameters + places_[shared ? 0 : 2],
                               parameters + places_[shared ? 1 : 3]);
    }
  }
  void forward(const std::vector<const Scalar*>& sources, Scalar* y) override {
    for (const Run& run : runs_) run.convolution->forward(sources[0] + x_at(run), y + y_at(run));
  }
  void backward_parameters(const std::vector<const Scalar*>& sources, const Scalar* dy, Parameter* gradient) override {
    if (has_south_) {
      if (flipped_gradient_.size() == 0)
        flipped_gradient_ = MemoryBuffer<Parameter>("gradient of the flipped kernel", flipped_.size(), memory_);
      in_space(memory_, [&](auto space) {
        fill_elements<decltype(space)>(flipped_gradient_.size(), Parameter(0), flipped_gradient_.data());
      });
    }
    for (const Run& run : runs_) {
      const bool shared = run.set == KernelSet::shared;
      Parameter* weights = run.set == KernelSet::south ? flipped_gradient_.data() : gradient + places_[shared ? 0 : 2];
      run.convolution->backward_weights(sources[0] + x_at(run), dy + y_at(run), weights,
                                        gradient + places_[shared ? 1 : 3]);
    }
    if (has_south_) flip(flipped_gradient_.data(), true, gradient + places_[2]);
  }
  void backward_data(const std::vector<const Scalar*>&, const Scalar* dy, int, Scalar* dx) override {
    for (const Run& run : runs_) run.convolution->backward_data(dy + y_at(run), dx + x_at(run));
  }

 private:
  /// Images one after another that one call handles.
  struct Run {
    int first, images;
    KernelSet set;
    Convolution<Scalar>* convolution;
  };
  std::size_t x_at(const Run& run) const { return extents_.x_at(run.first, 0, 0); }
  std::size_t y_at(const Run& run) const { return extents_.y_at(run.first, 0, 0); }
  void flip(const Parameter* from, bool accumulate, Parameter* to) const {
    in_space(memory_, [&](auto space) {
      flip_rows<decltype(space)>(extents_.kernel, extents_.weights() / extents_.kernel, from, accumulate, to);
    });
  }

  Memory memory_;
  ConvolutionExtents extents_;       ///< of one image
  std::vector<std::size_t> places_;  ///< of weights, bias, polar weights, polar bias in the flat parameters
  std::map<std::pair<KernelSet, int>, std::unique_ptr<Convolution<Scalar>>> convolutions_;  ///< by images a call, too
  std::vector<Run> runs_;
  bool has_south_ = false;
  MemoryBuffer<Parameter> flipped_, flipped_gradient_;  ///< polar weights as the south panel needs them
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
    const std::vector<int> weights = {a.kernel, a.kernel, node.in_channels, node.out_channels};
    std::vector<ParameterBlock> blocks = {{"weights", weights, 0, 0, true, fan_in},
                                          {"bias", {node.out_channels}, 0, 0, false, 0}};
    if (a.polar) {
      blocks.push_back({"polar_weights", weights, 0, 0, true, fan_in});
      blocks.push_back({"polar_bias", {node.out_channels}, 0, 0, false, 0});
    }
    return blocks;
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
