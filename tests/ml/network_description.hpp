/// A network and its links as JSON, from which another framework can build the same.
#pragma once

#include <nlohmann/json.hpp>

#include "ml/layers/layer_kind.hpp"
#include "ml/network.hpp"

namespace tramontane::testing {

inline const char* link_name(CellLink link) {
  return link == CellLink::pool_halo ? "pool_halo" : link == CellLink::upsample_halo ? "upsample_halo" : "halo";
}

/// Halo fill of one level as a list: ghosts that are copies, ghosts that are means of two, and where all of them lie.
/// Cells and padded cells are numbered as in CellTable.
inline nlohmann::json describe_halo(const Tiling& grid, int border) {
  const CellTable table = halo_table(grid, border);
  nlohmann::json first = nlohmann::json::array(), means = nlohmann::json::array();
  for (int row = 0; row < table.rows(); ++row) {
    const int begin = table.row_begin[row], count = table.row_begin[row + 1] - begin;
    first.push_back(table.source[begin]);
    if (count == 2) means.push_back({row, table.source[begin], table.source[begin + 1]});
    if (count > 2) throw RunError("a ghost cell that is the mean of more than two cells");
  }
  return {{"size", grid.tile_cells()}, {"border", border}, {"source", first}, {"means", means}};
}

/// Nodes in order of evaluation, where their parameters lie in the flat buffer, and the halos that they need, by
/// "level/border".
inline nlohmann::json describe_network(const NetworkSpec& spec) {
  const NetworkGraph graph = build_graph(spec);
  const Tiling grid(spec.n, spec.tiles_per_edge, 1);
  nlohmann::json nodes = nlohmann::json::array(), halos = nlohmann::json::object();
  for (const NetworkNode& node : graph.nodes) {
    nlohmann::json sources = nlohmann::json::array(), blocks = nlohmann::json::array();
    for (const NetworkSource& s : node.sources) sources.push_back({{"node", s.node}, {"link", link_name(s.link)}});
    for (int b = node.first_block; b < node.first_block + node.block_count; ++b) {
      const ParameterBlock& block = graph.blocks[b];
      blocks.push_back({{"name", block.name}, {"shape", block.shape}, {"offset", block.offset}, {"size", block.size}});
    }
    const int border = layer_kind(node.kind).border(node);
    const std::string halo = std::to_string(node.level) + "/" + std::to_string(border);
    if (border > 0 && !halos.contains(halo))
      halos[halo] = describe_halo(grid.at_resolution(spec.n >> node.level), border);
    nodes.push_back({{"name", node.name},
                     {"kind", node.kind},
                     {"kernel", node.attributes.kernel},
                     {"dilation", node.attributes.dilation},
                     {"halo", border > 0 ? halo : ""},
                     {"cells", grid.cell_count() >> 2 * node.level},
                     {"in", node.in_channels},
                     {"out", node.out_channels},
                     {"active", node.activation == Activation::capped_leaky_relu},
                     {"blocks", blocks},
                     {"sources", sources}});
  }
  return {{"n", spec.n},
          {"tiles", grid.tile_count()},
          {"inputs", spec.inputs},
          {"outputs", spec.outputs},
          {"parameters", graph.parameters()},
          {"flops_per_sample", graph.flops_per_sample(spec.n)},
          {"slope", kLeakySlope},
          {"cap", kLeakyCap},
          {"nodes", nodes},
          {"halos", halos}};
}

}  // namespace tramontane::testing
