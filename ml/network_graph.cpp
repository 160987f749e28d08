#include "ml/network_graph.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/tiling.hpp"
#include "ml/counter_random.hpp"
#include "ml/layers/layer_kind.hpp"

namespace tramontane {

int NetworkGraph::add(NetworkNode node) {
  const LayerKind& kind = layer_kind(node.kind);
  std::vector<int> channels;
  for (const NetworkSource& s : node.sources) channels.push_back(channels_of(s.node));
  node.in_channels = 0;
  for (int c : channels) node.in_channels += c;
  std::size_t offset = parameters();
  node.first_block = static_cast<int>(blocks.size());
  for (ParameterBlock block : kind.shape(node, channels)) {
    block.name = node.name + "." + block.name;
    block.offset = offset;
    block.size = 1;
    for (int extent : block.shape) block.size *= extent;
    offset += block.size;
    blocks.push_back(std::move(block));
  }
  node.block_count = static_cast<int>(blocks.size()) - node.first_block;
  nodes.push_back(std::move(node));
  return static_cast<int>(nodes.size()) - 1;
}

std::size_t NetworkGraph::parameters() const {
  return blocks.empty() ? 0 : blocks.back().offset + blocks.back().size;
}

double NetworkGraph::flops_per_sample(int n) const {
  double flops = 0;
  for (const NetworkNode& node : nodes) {
    const double edge = n >> node.level;
    flops += kPanels * edge * edge * layer_kind(node.kind).flops_per_cell(node);
  }
  return flops;
}

int NetworkGraph::receptive_field() const {
  // Width seen by each node's output, in cells of the input; the widest path counts.
  std::vector<int> field;
  for (const NetworkNode& node : nodes) {
    const int border = layer_kind(node.kind).border(node);
    int widest = 1;
    for (const NetworkSource& s : node.sources) {
      int width = s.node < 0 ? 1 : field[s.node];
      if (border > 0 && s.link == CellLink::pool_halo) width += 1 << (node.level - 1);
      widest = std::max(widest, width);
    }
    field.push_back(widest + 2 * border * (1 << node.level));
  }
  return field.empty() ? 0 : field.back();
}

NodeArrays arrays_of(const NetworkGraph& graph, int k, int tile_cells) {
  const NetworkNode& node = graph.nodes[k];
  NodeArrays a{};
  a.size = tile_cells >> node.level;
  a.border = layer_kind(node.kind).border(node);
  const bool reads_input = node.sources[0].node < 0, last = k + 1 == static_cast<int>(graph.nodes.size());
  a.in_stride = reads_input    ? storage_channels(graph.inputs)
                : a.border > 0 ? node.in_channels
                               : graph.channels_of(node.sources[0].node);
  a.out_stride = last ? storage_channels(node.out_channels) : node.out_channels;
  const std::size_t padded = a.size + 2 * a.border;
  a.x = a.border > 0 ? padded * padded * a.in_stride : 0;
  a.y = static_cast<std::size_t>(a.size) * a.size * a.out_stride;
  return a;
}

GradientPlan plan_gradient(const NetworkGraph& graph, int tile_cells) {
  const int count = static_cast<int>(graph.nodes.size());
  GradientPlan plan;
  plan.buffer_of.assign(count, -1);
  plan.uses.resize(count);
  std::vector<int> readers(count, 0), idle;
  for (const NetworkNode& node : graph.nodes)
    for (const NetworkSource& s : node.sources)
      if (s.node >= 0) ++readers[s.node];
  for (int k = count - 1; k >= 0; --k) {
    const NetworkNode& node = graph.nodes[k];
    const LayerKind& kind = layer_kind(node.kind);
    for (const NetworkSource& s : node.sources) {
      if (s.node < 0) {
        plan.uses[k].push_back({false, false});
        continue;
      }
      const bool overwrites = plan.buffer_of[s.node] < 0;
      if (overwrites) {
        const std::size_t needed = arrays_of(graph, s.node, tile_cells).y;
        // The idle buffer that fits best, else the largest one, grown.
        auto better = [&](int a, int b) {
          const bool fits_a = plan.buffers[a] >= needed, fits_b = plan.buffers[b] >= needed;
          if (fits_a != fits_b) return fits_a;
          return fits_a ? plan.buffers[a] < plan.buffers[b] : plan.buffers[a] > plan.buffers[b];
        };
        auto chosen = std::min_element(idle.begin(), idle.end(), better);
        int buffer = static_cast<int>(plan.buffers.size());
        if (chosen != idle.end()) {
          buffer = *chosen;
          idle.erase(chosen);
        } else {
          plan.buffers.push_back(0);
        }
        plan.buffers[buffer] = std::max(plan.buffers[buffer], needed);
        plan.buffer_of[s.node] = buffer;
      }
      plan.uses[k].push_back({overwrites, --readers[s.node] == 0});
      const NodeArrays arrays = arrays_of(graph, k, tile_cells);
      if (arrays.border > 0)
        plan.scratch = std::max(plan.scratch, arrays.x);
      else if (!overwrites && !kind.passes_gradient())
        plan.scratch = std::max(plan.scratch, arrays_of(graph, s.node, tile_cells).y);
    }
    if (plan.buffer_of[k] >= 0) idle.push_back(plan.buffer_of[k]);
  }
  return plan;
}

double training_elements(const NetworkGraph& graph, int n, int tiles_per_edge) {
  const int tile_cells = n / tiles_per_edge;
  const GradientPlan plan = plan_gradient(graph, tile_cells);
  double per_image = static_cast<double>(plan.scratch) + tile_cells * tile_cells * storage_channels(graph.inputs);
  for (int k = 0; k < static_cast<int>(graph.nodes.size()); ++k) {
    const NodeArrays arrays = arrays_of(graph, k, tile_cells);
    per_image += static_cast<double>(arrays.x + arrays.y);
  }
  for (std::size_t size : plan.buffers) per_image += static_cast<double>(size);
  if (!graph.nodes.empty())  // the gradient of the output
    per_image += static_cast<double>(arrays_of(graph, static_cast<int>(graph.nodes.size()) - 1, tile_cells).y);
  return per_image * kPanels * tiles_per_edge * tiles_per_edge;
}

std::vector<float> initial_parameters(const NetworkGraph& graph, std::uint64_t seed) {
  std::vector<float> parameters(graph.parameters(), 0.0f);
  for (const ParameterBlock& block : graph.blocks) {
    if (block.initial == InitialValues::one)
      std::fill_n(parameters.begin() + static_cast<std::ptrdiff_t>(block.offset), block.size, 1.0f);
    if (block.initial != InitialValues::he || !block.decays) continue;
    // Variance 2 / ((1 + slope^2) fan_in), as a uniform distribution.
    const double limit = block.gain * std::sqrt(6.0 / ((1 + kLeakySlope * kLeakySlope) * block.fan_in));
    for (std::size_t k = 0; k < block.size; ++k)
      parameters[block.offset + k] =
          static_cast<float>(limit * (2 * uniform_at(seed, RandomStream::initial_weights, block.offset + k) - 1));
  }
  return parameters;
}

}  // namespace tramontane
