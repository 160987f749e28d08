#include "ml/unet.hpp"

#include <fmt/format.h>

#include <cmath>

#include "ml/counter_random.hpp"

namespace tramontane {
namespace {

int add_node(NetworkGraph& graph, std::string name, int kernel, int level, int out, Activation activation,
             std::vector<NetworkSource> sources) {
  int in = 0;
  for (const NetworkSource& s : sources) in += s.node < 0 ? graph.inputs : graph.nodes[s.node].out_channels;
  std::size_t offset = graph.parameters();
  const std::size_t weights = static_cast<std::size_t>(kernel) * kernel * in * out;
  graph.blocks.push_back({name + ".weights", {kernel, kernel, in, out}, offset, weights, true, kernel * kernel * in});
  graph.blocks.push_back({name + ".bias", {out}, offset + weights, static_cast<std::size_t>(out), false, 0});
  graph.nodes.push_back({std::move(name), kernel, level, in, out, activation, std::move(sources)});
  return static_cast<int>(graph.nodes.size()) - 1;
}

void build_unet(const NetworkSpec& spec, NetworkGraph& graph) {
  constexpr auto active = Activation::capped_leaky_relu;
  std::vector<int> skips;
  int last = -1;
  for (int level = 0; level < spec.levels; ++level) {
    const int width = spec.width << level;
    last = add_node(graph, fmt::format("encoder{}.a", level), 3, level, width, active,
                    {{last, level == 0 ? CellLink::halo : CellLink::pool_halo}});
    last = add_node(graph, fmt::format("encoder{}.b", level), 3, level, width, active, {{last, CellLink::halo}});
    skips.push_back(last);
  }
  for (int level = spec.levels - 2; level >= 0; --level) {
    const int width = spec.width << level;
    last = add_node(graph, fmt::format("decoder{}.a", level), 3, level, width, active,
                    {{skips[level], CellLink::halo}, {last, CellLink::upsample_halo}});
    last = add_node(graph, fmt::format("decoder{}.b", level), 3, level, width, active, {{last, CellLink::halo}});
  }
  add_node(graph, "output", 1, 0, spec.outputs, Activation::linear, {{last, CellLink::halo}});
}

void build_mlp(const NetworkSpec& spec, NetworkGraph& graph) {
  int last = -1;
  for (int layer = 0; layer < spec.levels; ++layer)
    last = add_node(graph, fmt::format("hidden{}", layer), 1, 0, spec.width, Activation::capped_leaky_relu,
                    {{last, CellLink::halo}});
  add_node(graph, "output", 1, 0, spec.outputs, Activation::linear, {{last, CellLink::halo}});
}

}  // namespace

std::size_t NetworkGraph::parameters() const {
  return blocks.empty() ? 0 : blocks.back().offset + blocks.back().size;
}

double NetworkGraph::flops_per_sample(int n) const {
  double flops = 0;
  for (const NetworkNode& node : nodes) {
    const double edge = n >> node.level;
    flops += 2.0 * kPanels * edge * edge * node.kernel * node.kernel * node.in_channels * node.out_channels;
  }
  return flops;
}

int NetworkGraph::receptive_field() const {
  // Width seen by each node's output, in cells of the input; the widest path counts.
  std::vector<int> field;
  for (const NetworkNode& node : nodes) {
    int widest = 1;
    for (const NetworkSource& s : node.sources) {
      int width = s.node < 0 ? 1 : field[s.node];
      if (node.kernel > 1 && s.link == CellLink::pool_halo) width += 1 << (node.level - 1);
      widest = std::max(widest, width);
    }
    field.push_back(widest + (node.kernel - 1) * (1 << node.level));
  }
  return field.empty() ? 0 : field.back();
}

void check(const NetworkSpec& spec) {
  if (spec.type != "unet" && spec.type != "mlp")
    throw InputError(fmt::format("surrogate.network.type = {} is unknown: choose unet or mlp", spec.type));
  if (spec.inputs < 1 || spec.outputs < 1)
    throw InputError(fmt::format("a network of {} inputs and {} outputs has nothing to learn: name its variables",
                                 spec.inputs, spec.outputs));
  if (spec.width < 1 || spec.width > 4096)
    throw InputError(fmt::format("surrogate.network.width = {} is out of range: choose 1 to 4096", spec.width));
  if (spec.levels < 1 || spec.levels > 8)
    throw InputError(fmt::format("surrogate.network.levels = {} is out of range: choose 1 to 8", spec.levels));
  const Tiling grid(spec.n, spec.tiles_per_edge, 1);
  const int factor = 1 << (spec.levels - 1);
  if (spec.type == "unet" && grid.tile_cells() % factor != 0)
    throw InputError(
        fmt::format("surrogate.network.levels = {} needs tiles whose edge divides by {}, but {} cells in {} tiles make "
                    "{}: lower the levels or the tiles per edge",
                    spec.levels, factor, spec.n, spec.tiles_per_edge, grid.tile_cells()));
}

NetworkGraph build_graph(const NetworkSpec& spec) {
  check(spec);
  NetworkGraph graph;
  graph.inputs = spec.inputs;
  if (spec.type == "unet")
    build_unet(spec, graph);
  else
    build_mlp(spec, graph);
  return graph;
}

std::vector<float> initial_parameters(const NetworkGraph& graph, std::uint64_t seed) {
  std::vector<float> parameters(graph.parameters(), 0.0f);
  for (std::size_t b = 0; b + 2 < graph.blocks.size(); ++b) {
    const ParameterBlock& block = graph.blocks[b];
    if (!block.decays) continue;
    // Variance 2 / ((1 + slope^2) fan_in), as a uniform distribution.
    const double limit = std::sqrt(6.0 / ((1 + kLeakySlope * kLeakySlope) * block.fan_in));
    for (std::size_t k = 0; k < block.size; ++k)
      parameters[block.offset + k] =
          static_cast<float>(limit * (2 * uniform_at(seed, RandomStream::initial_weights, block.offset + k) - 1));
  }
  return parameters;
}

}  // namespace tramontane
