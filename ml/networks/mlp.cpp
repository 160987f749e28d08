// Multi-layer perceptron, cell by cell: 1 x 1 convolutions only. What a network can do without its neighbours.
#include <fmt/format.h>

#include "kernels/errors.hpp"
#include "ml/networks/graph_builder.hpp"
#include "ml/networks/network_kind.hpp"

namespace tramontane {
namespace {

class Mlp final : public NetworkKind {
 public:
  std::string name() const override { return "mlp"; }

  void check(const NetworkSpec& spec) const override {
    if (spec.levels < 1 || spec.levels > 8)
      throw InputError(fmt::format("surrogate.network.levels = {} is out of range: choose 1 to 8", spec.levels));
  }

  void build(const NetworkSpec& spec, NetworkGraph& graph) const override {
    GraphBuilder builder(spec, graph);
    int last = -1;
    for (int layer = 0; layer < spec.levels; ++layer)
      last = builder.convolution(fmt::format("hidden{}", layer), 1, 0, spec.width, {{last}});
    builder.output(last);
  }

  int smallest_grid(const NetworkSpec&) const override { return 2; }
};

}  // namespace

const NetworkKind& mlp_network() {
  static const Mlp kind;
  return kind;
}

}  // namespace tramontane
