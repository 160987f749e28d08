// Normalisation of each cell over groups of its channels, with a learnt scale and shift a channel: with one group
// layer normalisation over channels (Ba et al. 2016, in the form of Liu et al. 2022), with more a group normalisation.
//
// Wu and He's (2018) group normalisation takes its statistics over all cells of an image as well. On a sphere spread
// over ranks those are global sums in every layer, each a wait for all ranks in inference, and their order would have
// to be fixed for the same bits on any ranks. Over the cell's own channels they are local, so that the result depends
// neither on ranks nor on tiles.
#include <fmt/format.h>

#include "kernels/errors.hpp"
#include "kernels/network_normalisation.hpp"
#include "ml/layers/layer_kind.hpp"

namespace tramontane {
namespace {

template <class Scalar>
class NormalisationLayer final : public Layer<Scalar> {
 public:
  using Parameter = ParameterOf<Scalar>;
  using Number = ArithmeticOf<Scalar>;

  explicit NormalisationLayer(const LayerContext<Scalar>& c)
      : memory_(c.backend.memory()),
        active_(c.node.activation == Activation::capped_leaky_relu),
        extents_{c.panels.size() * c.arrays.size * c.arrays.size, c.node.out_channels, c.node.attributes.groups,
                 kNormalisationEpsilon},
        scale_at_(c.graph.blocks[c.node.first_block].offset),
        shift_at_(c.graph.blocks[c.node.first_block + 1].offset),
        statistics_("statistics of " + c.node.name, 2 * extents_.cells * extents_.groups, memory_) {}

  void set_parameters(const Parameter* parameters) override { parameters_ = parameters; }
  void forward(const std::vector<const Scalar*>& sources, Scalar* y) override {
    in_space(memory_, [&](auto space) {
      normalisation_forward<decltype(space)>(extents_, sources[0], parameters_ + scale_at_, parameters_ + shift_at_,
                                             active_, Number(kLeakySlope), Number(kLeakyCap), statistics_.data(), y);
    });
  }
  void backward_parameters(const std::vector<const Scalar*>& sources, const Scalar* dy, Parameter* gradient) override {
    if (partial_.size() == 0)
      partial_ =
          MemoryBuffer<Number>("partial sums", std::size_t{2} * kNormalisationChunks * extents_.channels, memory_);
    in_space(memory_, [&](auto space) {
      normalisation_backward_parameters<decltype(space)>(extents_, sources[0], dy, statistics_.data(), partial_.data(),
                                                         gradient + scale_at_, gradient + shift_at_);
    });
  }
  void backward_data(const std::vector<const Scalar*>& sources, const Scalar* dy, int, Scalar* dx) override {
    in_space(memory_, [&](auto space) {
      normalisation_backward_data<decltype(space)>(extents_, sources[0], dy, parameters_ + scale_at_,
                                                   statistics_.data(), dx);
    });
  }

 private:
  Memory memory_;
  bool active_;
  NormalisationExtents extents_;
  std::size_t scale_at_, shift_at_;  ///< places in the flat parameters
  const Parameter* parameters_ = nullptr;
  MemoryBuffer<Number> statistics_, partial_;
};

class NormalisationKind final : public LayerKindOf<NormalisationLayer> {
 public:
  std::string name() const override { return "normalisation"; }
  std::vector<ParameterBlock> shape(NetworkNode& node, const std::vector<int>& channels) const override {
    if (channels.size() != 1 || node.sources[0].node < 0)
      throw InputError(fmt::format("layer {} normalises one layer's output and got {}", node.name, channels.size()));
    const int groups = node.attributes.groups;
    if (groups < 1 || channels[0] % groups != 0 || channels[0] / groups < kLeastGroup)
      throw InputError(
          fmt::format("layer {} can not normalise {} channels in {} groups: choose surrogate.network.width and "
                      "surrogate.network.groups so that groups come out even with {} channels or more",
                      node.name, channels[0], groups, kLeastGroup));
    node.out_channels = channels[0];
    return {{"scale", {node.out_channels}, 0, 0, false, 0, InitialValues::one},
            {"shift", {node.out_channels}, 0, 0, false, 0, InitialValues::zero}};
  }
};

}  // namespace

const LayerKind& normalisation_layer() {
  static const NormalisationKind kind;
  return kind;
}

}  // namespace tramontane
