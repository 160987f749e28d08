// U-Net (Ronneberger et al. 2015, in the form of Weyn et al. 2020): two 3 x 3 convolutions a level, average pooling,
// nearest-neighbour upsampling, skips by concatenation, linear 1 x 1 output.
#include <fmt/format.h>

#include "kernels/errors.hpp"
#include "ml/networks/graph_builder.hpp"
#include "ml/networks/network_kind.hpp"

namespace tramontane {
namespace {

class Unet final : public NetworkKind {
 public:
  std::string name() const override { return "unet"; }

  void check(const NetworkSpec& spec) const override {
    if (spec.levels < 1 || spec.levels > 8)
      throw InputError(fmt::format("surrogate.network.levels = {} is out of range: choose 1 to 8", spec.levels));
    const int factor = 1 << (spec.levels - 1), tile = spec.n / spec.tiles_per_edge;
    if (tile % factor != 0)
      throw InputError(fmt::format(
          "surrogate.network.levels = {} needs tiles whose edge divides by {}, but {} cells in {} tiles make "
          "{}: lower the levels or the tiles per edge",
          spec.levels, factor, spec.n, spec.tiles_per_edge, tile));
  }

  void build(const NetworkSpec& spec, NetworkGraph& graph) const override {
    GraphBuilder builder(spec, graph);
    std::vector<int> skips;
    int last = -1;
    for (int level = 0; level < spec.levels; ++level) {
      const int width = spec.width << level;
      last = builder.convolution(fmt::format("encoder{}.a", level), 3, level, width,
                                 {{last, level == 0 ? CellLink::halo : CellLink::pool_halo}});
      last = builder.convolution(fmt::format("encoder{}.b", level), 3, level, width, {{last, CellLink::halo}});
      skips.push_back(last);
    }
    for (int level = spec.levels - 2; level >= 0; --level) {
      const int width = spec.width << level;
      last = builder.convolution(fmt::format("decoder{}.a", level), 3, level, width,
                                 {{skips[level], CellLink::halo}, {last, CellLink::upsample_halo}});
      last = builder.convolution(fmt::format("decoder{}.b", level), 3, level, width, {{last, CellLink::halo}});
    }
    builder.output(last);
  }

  /// The coarsest level then has two cells per edge.
  int smallest_grid(const NetworkSpec& spec) const override { return 2 << (spec.levels - 1); }
};

}  // namespace

const NetworkKind& unet_network() {
  static const Unet kind;
  return kind;
}

}  // namespace tramontane
