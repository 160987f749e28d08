// Addition of two sources cell by cell and channel by channel: the end of a residual branch (He et al. 2016).
#include <fmt/format.h>

#include "kernels/errors.hpp"
#include "kernels/network_elementwise.hpp"
#include "ml/layers/layer_kind.hpp"

namespace tramontane {
namespace {

template <class Scalar>
class AdditionLayer final : public Layer<Scalar> {
 public:
  explicit AdditionLayer(const LayerContext<Scalar>& c)
      : memory_(c.backend.memory()),
        active_(c.node.activation == Activation::capped_leaky_relu),
        elements_(c.arrays.y * c.panels.size()) {}

  void forward(const std::vector<const Scalar*>& sources, Scalar* y) override {
    using Number = ArithmeticOf<Scalar>;
    in_space(memory_, [&](auto space) {
      add_arrays<decltype(space)>(elements_, sources[0], sources[1], active_, Number(kLeakySlope), Number(kLeakyCap),
                                  y);
    });
  }
  void backward_data(const std::vector<const Scalar*>&, const Scalar* dy, int, Scalar* dx) override {
    in_space(memory_, [&](auto space) { copy_elements<decltype(space)>(elements_, dy, dx); });
  }

 private:
  Memory memory_;
  bool active_;
  std::size_t elements_;
};

class AdditionKind final : public LayerKindOf<AdditionLayer> {
 public:
  std::string name() const override { return "addition"; }
  std::vector<ParameterBlock> shape(NetworkNode& node, const std::vector<int>& channels) const override {
    if (channels.size() != 2 || channels[0] != channels[1] || node.sources[0].node < 0 || node.sources[1].node < 0)
      throw InputError(fmt::format("layer {} adds two layers of as many channels and got others", node.name));
    node.out_channels = channels[0];
    return {};
  }
  bool passes_gradient() const override { return true; }
};

}  // namespace

const LayerKind& addition_layer() {
  static const AdditionKind kind;
  return kind;
}

}  // namespace tramontane
