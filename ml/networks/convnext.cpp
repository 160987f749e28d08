// A residual network of dense 3 x 3 convolutions with dilation on one level, in the manner of ConvNeXt (Liu et al.
// 2022) as Karlbauer et al. (2024) adapted it to the sphere: dense kernels instead of depthwise ones, which no library
// runs at speed, and a reach that grows with the dilation instead of by pooling.
//
// A block is normalisation, 3 x 3 convolution to expansion x width channels with the capped leaky ReLU, 1 x 1
// convolution back to width, and the addition of what entered the block. Blocks take their dilations from the list in
// turn. Before them stands a 3 x 3 convolution to width channels, behind them a normalisation and the 1 x 1 output.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/errors.hpp"
#include "ml/networks/graph_builder.hpp"
#include "ml/networks/network_kind.hpp"

namespace tramontane {
namespace {

class Convnext final : public NetworkKind {
 public:
  std::string name() const override { return "convnext"; }

  void check(const NetworkSpec& spec) const override {
    if (spec.blocks < 1 || spec.blocks > 64)
      throw InputError(fmt::format("surrogate.network.blocks = {} is out of range: choose 1 to 64", spec.blocks));
    if (spec.expansion < 1 || spec.expansion > 8)
      throw InputError(fmt::format("surrogate.network.expansion = {} is out of range: choose 1 to 8", spec.expansion));
    if (spec.dilations.empty() || *std::min_element(spec.dilations.begin(), spec.dilations.end()) < 1)
      throw InputError("surrogate.network.dilations must name at least one dilation, each at least 1");
    const int widest = widest_dilation(spec);
    if (widest > spec.n)
      throw InputError(fmt::format(
          "surrogate.network.dilations goes up to {}, which reaches beyond the whole of a neighbouring panel "
          "of {} cells: lower it or raise surrogate.coarse_n",
          widest, spec.n));
  }

  void build(const NetworkSpec& spec, NetworkGraph& graph) const override {
    constexpr Activation active = Activation::capped_leaky_relu;
    GraphBuilder builder(spec, graph);
    int last = builder.plain_convolution("stem", 3, 1, 0, spec.width, {{-1}}, active);
    // Branches start small, so that their sum over all blocks stays of the order of one branch (Radford et al. 2019).
    const double gain = 1 / std::sqrt(2.0 * spec.blocks);
    for (int block = 0; block < spec.blocks; ++block) {
      const std::string name = fmt::format("block{}", block);
      const int dilation = spec.dilations[block % spec.dilations.size()];
      int branch = builder.normalisation(name + ".norm", last, Activation::linear);
      branch =
          builder.plain_convolution(name + ".expand", 3, dilation, 0, spec.expansion * spec.width, {{branch}}, active);
      branch = builder.plain_convolution(name + ".project", 1, 1, 0, spec.width, {{branch}}, Activation::linear, gain);
      last = builder.addition(name + ".sum", last, branch);
    }
    builder.output(builder.normalisation("norm", last, Activation::linear));
  }

  int smallest_grid(const NetworkSpec& spec) const override { return std::max(2, widest_dilation(spec)); }

 private:
  static int widest_dilation(const NetworkSpec& spec) {
    int widest = 1;
    for (int block = 0; block < spec.blocks; ++block)
      widest = std::max(widest, spec.dilations[block % spec.dilations.size()]);
    return widest;
  }
};

}  // namespace

const NetworkKind& convnext_network() {
  static const Convnext kind;
  return kind;
}

}  // namespace tramontane
