#include "ml/networks/network_kind.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kernels/errors.hpp"
#include "kernels/tiling.hpp"

namespace tramontane {

// One line a kind; each is defined in the file of its name.
const NetworkKind& mlp_network();
const NetworkKind& unet_network();

namespace {

const std::vector<const NetworkKind*>& kinds() {
  static const std::vector<const NetworkKind*> all = {&mlp_network(), &unet_network()};
  return all;
}

}  // namespace

const NetworkKind& network_kind(const std::string& name) {
  for (const NetworkKind* kind : kinds())
    if (kind->name() == name) return *kind;
  throw InputError(
      fmt::format("surrogate.network.type = {} is unknown: choose one of {}", name, fmt::join(network_names(), ", ")));
}

std::vector<std::string> network_names() {
  std::vector<std::string> names;
  for (const NetworkKind* kind : kinds()) names.push_back(kind->name());
  return names;
}

int add_convolution(NetworkGraph& graph, std::string name, int kernel, int level, int out_channels,
                    std::vector<NetworkSource> sources, Activation activation) {
  NetworkNode node;
  node.name = std::move(name);
  node.kind = "convolution";
  node.attributes.kernel = kernel;
  node.level = level;
  node.out_channels = out_channels;
  node.activation = activation;
  node.sources = std::move(sources);
  return graph.add(std::move(node));
}

int add_output(NetworkGraph& graph, int outputs, int source) {
  const int node = add_convolution(graph, "output", 1, 0, outputs, {{source}}, Activation::linear);
  for (int b = graph.nodes[node].first_block; b < static_cast<int>(graph.blocks.size()); ++b)
    graph.blocks[b].initial = InitialValues::zero;
  return node;
}

void check(const NetworkSpec& spec) {
  const NetworkKind& kind = network_kind(spec.type);
  if (spec.inputs < 1 || spec.outputs < 1)
    throw InputError(fmt::format("a network of {} inputs and {} outputs has nothing to learn: name its variables",
                                 spec.inputs, spec.outputs));
  if (spec.width < 1 || spec.width > 4096)
    throw InputError(fmt::format("surrogate.network.width = {} is out of range: choose 1 to 4096", spec.width));
  Tiling(spec.n, spec.tiles_per_edge, 1);  // refuses tiles that do not divide the panel
  kind.check(spec);
}

NetworkGraph build_graph(const NetworkSpec& spec) {
  check(spec);
  NetworkGraph graph;
  graph.inputs = spec.inputs;
  network_kind(spec.type).build(spec, graph);
  return graph;
}

}  // namespace tramontane
