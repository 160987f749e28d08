#include "ml/onnx/layer_nodes.hpp"

#include <fmt/format.h>

#include "kernels/errors.hpp"
#include "ml/layers/layer_kind.hpp"

namespace tramontane {
namespace {

/// Index of (row, column, in, out) in ONNX' order.
std::size_t onnx_index(const std::vector<int>& shape, int row, int column, int in, int out) {
  return ((static_cast<std::size_t>(out) * shape[2] + in) * shape[0] + row) * shape[1] + column;
}

template <class Body>
void for_each_weight(const std::vector<int>& shape, const Body& body) {
  std::size_t ours = 0;
  for (int row = 0; row < shape[0]; ++row)
    for (int column = 0; column < shape[1]; ++column)
      for (int in = 0; in < shape[2]; ++in)
        for (int out = 0; out < shape[3]; ++out) body(ours++, row, column, in, out);
}

}  // namespace

std::vector<float> onnx_weights(const ParameterBlock& block, const float* weights, bool flipped) {
  std::vector<float> result(block.size);
  if (block.shape.size() == 1) return {weights, weights + block.size};
  for_each_weight(block.shape, [&](std::size_t ours, int row, int column, int in, int out) {
    result[onnx_index(block.shape, flipped ? block.shape[0] - 1 - row : row, column, in, out)] = weights[ours];
  });
  return result;
}

std::vector<float> weights_from_onnx(const ParameterBlock& block, const float* weights) {
  std::vector<float> result(block.size);
  if (block.shape.size() == 1) return {weights, weights + block.size};
  for_each_weight(block.shape, [&](std::size_t ours, int row, int column, int in, int out) {
    result[ours] = weights[onnx_index(block.shape, row, column, in, out)];
  });
  return result;
}

Dimensions onnx_shape(const ParameterBlock& block) {
  if (block.shape.size() == 4) return {block.shape[3], block.shape[2], 1, block.shape[0], block.shape[1]};
  const bool of_channels = !block.name.ends_with("bias");  // scale and shift meet whole activations
  return of_channels ? Dimensions{1, block.shape[0], 1, 1, 1} : Dimensions{block.shape[0]};
}

std::string LayerNodes::padded(const std::string& name, const std::string& value, CellLink link, int level,
                               int border) {
  const Tiling here(n_ >> level, 1, 1);
  std::string from = value;
  CellTable table = halo_table(here, border);
  std::string table_name = fmt::format("halo.level{}.border{}", level, border);
  if (link == CellLink::pool_halo) {
    from = writer_.node("AveragePool", name + ".pool", {value},
                        {{"kernel_shape", Dimensions{1, 2, 2}}, {"strides", Dimensions{1, 2, 2}}});
  } else if (link == CellLink::upsample_halo) {
    table = compose(table, upsample_table(here));
    table_name = "upsample." + table_name;
  }
  // A ghost beyond a panel's corner is the mean of two cells. These means go behind the cells, so that one Gather
  // picks all.
  std::vector<std::int64_t> cells, first, second;
  for (int row = 0; row < table.rows(); ++row) {
    const int begin = table.row_begin[row], count = table.row_begin[row + 1] - begin;
    if (count == 1 && table.weight[begin] == 1.0f) {
      cells.push_back(table.source[begin]);
    } else if (count == 2 && table.weight[begin] == 0.5f && table.weight[begin + 1] == 0.5f) {
      cells.push_back(table.columns + static_cast<std::int64_t>(first.size()));
      first.push_back(table.source[begin]);
      second.push_back(table.source[begin + 1]);
    } else {
      throw RunError(fmt::format("a ghost cell of {} sources can not be written as ONNX", count));
    }
  }
  const std::int64_t edge = here.n + 2 * border, pairs = static_cast<std::int64_t>(first.size());
  std::string flat = writer_.reshape(name + ".cells", from, {0, 0, -1});
  if (pairs > 0) {
    const std::string a = writer_.node(
        "Gather", name + ".corner_a", {flat, writer_.constant(table_name + ".corner_a", {pairs}, first)}, {{"axis", 2}});
    const std::string b =
        writer_.node("Gather", name + ".corner_b",
                     {flat, writer_.constant(table_name + ".corner_b", {pairs}, second)}, {{"axis", 2}});
    const std::string sum = writer_.node("Add", name + ".corner_sum", {a, b});
    const std::string mean =
        writer_.node("Mul", name + ".corner_mean", {sum, writer_.constant("half", {}, std::vector<float>{0.5f})});
    flat = writer_.concat(name + ".cells_and_corners", {flat, mean}, 2);
  }
  return writer_.node("Gather", name + ".padded",
                      {flat, writer_.constant(table_name + ".cells", {kPanels, edge, edge}, cells)}, {{"axis", 2}});
}

std::string LayerNodes::activated(const NetworkNode& node, const std::string& value) {
  if (node.activation == Activation::linear) return value;
  const std::string leaky =
      writer_.node("LeakyRelu", node.name + ".leaky", {value}, {{"alpha", static_cast<float>(kLeakySlope)}});
  return writer_.node(
      "Min", node.name + ".activated",
      {leaky, writer_.constant("activation_cap", {}, std::vector<float>{static_cast<float>(kLeakyCap)})});
}

std::string LayerNodes::convolve(int k, const std::string& name, const std::string& value, int first_block,
                                 bool flipped) {
  const LayerAttributes& a = graph_.nodes[k].attributes;
  const ParameterBlock& weights = graph_.blocks[first_block];
  const ParameterBlock& bias = graph_.blocks[first_block + 1];
  const std::string weights_name = flipped ? weights.name + ".south" : weights.name;
  return writer_.node(
      "Conv", name,
      {value,
       writer_.constant(weights_name, onnx_shape(weights),
                        onnx_weights(weights, weights_.data() + weights.offset, flipped)),
       writer_.constant(bias.name, onnx_shape(bias), onnx_weights(bias, weights_.data() + bias.offset))},
      {{"kernel_shape", Dimensions{1, a.kernel, a.kernel}}, {"dilations", Dimensions{1, a.dilation, a.dilation}}});
}

std::string LayerNodes::convolution(int k, const std::vector<std::string>& sources) {
  const NetworkNode& node = graph_.nodes[k];
  const std::string value = writer_.concat(node.name + ".sources", sources, 1);
  if (!node.attributes.polar) return convolve(k, node.name, value, node.first_block, false);
  // The four panels around the equator, north and south (ml/layers/convolution.cpp).
  const auto parts = writer_.node_with_outputs(
      "Split", node.name + ".panels", {value, writer_.constant("panel_sets", {3}, std::vector<std::int64_t>{4, 1, 1})},
      {node.name + ".equator", node.name + ".north", node.name + ".south"}, {{"axis", 2}});
  const std::string equator = convolve(k, node.name + ".equator_conv", parts[0], node.first_block, false);
  const std::string north = convolve(k, node.name + ".north_conv", parts[1], node.first_block + 2, false);
  const std::string south = convolve(k, node.name + ".south_conv", parts[2], node.first_block + 2, true);
  return writer_.concat(node.name, {equator, north, south}, 2);
}

std::string LayerNodes::normalisation(int k, const std::string& value) {
  const NetworkNode& node = graph_.nodes[k];
  const std::string& name = node.name;
  const std::int64_t channels = node.out_channels, groups = node.attributes.groups, edge = n_ >> node.level;
  // (batch, channel, ...), or with groups (batch, group, channel of it, ...).
  const bool grouped = groups > 1;
  const Dimensions axis = {grouped ? 2 : 1};
  const std::string x =
      grouped ? writer_.reshape(name + ".groups", value, {0, groups, channels / groups, kPanels, edge, edge}) : value;
  const std::string mean = writer_.node("ReduceMean", name + ".mean", {x}, {{"axes", axis}, {"keepdims", 1}});
  const std::string deviation = writer_.node("Sub", name + ".deviation", {x, mean});
  const std::string square = writer_.node("Mul", name + ".square", {deviation, deviation});
  const std::string variance =
      writer_.node("ReduceMean", name + ".variance", {square}, {{"axes", axis}, {"keepdims", 1}});
  const std::string epsilon = writer_.constant("normalisation_epsilon", {},
                                               std::vector<float>{static_cast<float>(kNormalisationEpsilon)});
  const std::string above = writer_.node("Add", name + ".variance_and_epsilon", {variance, epsilon});
  const std::string root = writer_.node("Sqrt", name + ".standard_deviation", {above});
  std::string y = writer_.node("Div", name + ".normalised", {deviation, root});
  if (grouped) y = writer_.reshape(name + ".ungrouped", y, {0, channels, kPanels, edge, edge});
  const auto block = [&](int b) {
    const ParameterBlock& p = graph_.blocks[node.first_block + b];
    return writer_.constant(p.name, onnx_shape(p), onnx_weights(p, weights_.data() + p.offset));
  };
  const std::string scaled = writer_.node("Mul", name + ".scaled", {y, block(0)});
  return writer_.node("Add", name, {scaled, block(1)});
}

std::string LayerNodes::layer(int k, const std::vector<std::string>& sources) {
  const NetworkNode& node = graph_.nodes[k];
  if (node.kind == "convolution") return activated(node, convolution(k, sources));
  if (node.kind == "normalisation") return activated(node, normalisation(k, sources.front()));
  if (node.kind == "addition") return activated(node, writer_.node("Add", node.name, sources));
  throw InputError(fmt::format("layer {} is a {}, which this program can not write as ONNX: set output.onnx = false",
                               node.name, node.kind));
}

}  // namespace tramontane
