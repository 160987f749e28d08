/// A network and its links as JSON, from which another framework can build the same.
#pragma once

#include <nlohmann/json.hpp>

#include "ml/network.hpp"

namespace tramontane::testing {

inline const char* link_name(CellLink link) {
  return link == CellLink::pool_halo ? "pool_halo" : link == CellLink::upsample_halo ? "upsample_halo" : "halo";
}

/// Halo fill of one level as a list: ghosts that are copies, ghosts that are means of two, and where all of them lie.
/// Cells and padded cells are numbered as in CellTable.
inline nlohmann::json describe_halo(const Tiling& grid) {
  const CellTable table = halo_table(grid);
  const int size = grid.tile_cells(), padded = size + 2;
  nlohmann::json first = nlohmann::json::array(), means = nlohmann::json::array();
  for (int row = 0; row < table.rows(); ++row) {
    const int begin = table.row_begin[row], count = table.row_begin[row + 1] - begin;
    first.push_back(table.source[begin]);
    if (count == 2) means.push_back({row, table.source[begin], table.source[begin + 1]});
    if (count > 2) throw RunError("a ghost cell that is the mean of more than two cells");
  }
  return {{"size", size}, {"padded_size", padded}, {"source", first}, {"means", means}};
}

/// Nodes in order of evaluation, where their parameters lie in the flat buffer, and the halos of every level.
inline nlohmann::json describe_network(const NetworkSpec& spec) {
  const NetworkGraph graph = build_graph(spec);
  const Tiling grid(spec.n, spec.tiles_per_edge, 1);
  nlohmann::json nodes = nlohmann::json::array(), halos = nlohmann::json::array();
  int levels = 0;
  for (std::size_t k = 0; k < graph.nodes.size(); ++k) {
    const NetworkNode& node = graph.nodes[k];
    nlohmann::json sources = nlohmann::json::array();
    for (const NetworkSource& s : node.sources) sources.push_back({{"node", s.node}, {"link", link_name(s.link)}});
    nodes.push_back({{"name", node.name},
                     {"kernel", node.kernel},
                     {"level", node.level},
                     {"in", node.in_channels},
                     {"out", node.out_channels},
                     {"active", node.activation == Activation::capped_leaky_relu},
                     {"weights", graph.blocks[2 * k].offset},
                     {"bias", graph.blocks[2 * k + 1].offset},
                     {"sources", sources}});
    levels = std::max(levels, node.level + 1);
  }
  for (int level = 0; level < levels; ++level) halos.push_back(describe_halo(grid.at_resolution(grid.n >> level)));
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
