#include "ml/networks/network_kind.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kernels/errors.hpp"
#include "kernels/tiling.hpp"

namespace tramontane {

// One line a kind; each is defined in the file of its name.
const NetworkKind& convnext_network();
const NetworkKind& mlp_network();
const NetworkKind& unet_network();

namespace {

const std::vector<const NetworkKind*>& kinds() {
  static const std::vector<const NetworkKind*> all = {&convnext_network(), &mlp_network(), &unet_network()};
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

void check(const NetworkSpec& spec) {
  const NetworkKind& kind = network_kind(spec.type);
  if (spec.inputs < 1 || spec.outputs < 1)
    throw InputError(fmt::format("a network of {} inputs and {} outputs has nothing to learn: name its variables",
                                 spec.inputs, spec.outputs));
  if (spec.width < 1 || spec.width > 4096)
    throw InputError(fmt::format("surrogate.network.width = {} is out of range: choose 1 to 4096", spec.width));
  if (spec.norm != "none" && spec.norm != "layer" && spec.norm != "group")
    throw InputError(
        fmt::format("surrogate.network.norm = {} is unknown: choose one of none, layer, group", spec.norm));
  const int groups = spec.norm == "group" ? spec.groups : 1;
  if (spec.norm != "none" && (groups < 1 || spec.width % groups != 0 || spec.width / groups < kLeastGroup))
    throw InputError(
        fmt::format("surrogate.network.width = {} channels do not make {} group(s) of {} or more to normalise: choose "
                    "a width that surrogate.network.groups divides",
                    spec.width, groups, kLeastGroup));
  if (spec.kernels != "shared" && spec.kernels != "polar")
    throw InputError(
        fmt::format("surrogate.network.kernels = {} is unknown: choose one of shared, polar", spec.kernels));
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
