/// The layers of a network as standard ONNX operators.
#pragma once

#include <string>
#include <vector>

#include "ml/batch.hpp"
#include "ml/model.hpp"
#include "ml/network_graph.hpp"
#include "ml/onnx/graph_writer.hpp"

namespace tramontane {

/// Writes the nodes of networks on the whole sphere of n cells per panel edge. Activations are (batch, channel, panel,
/// y, x): with the panel as a third dimension in space, convolutions and pooling have kernels of one panel's width,
/// and nothing needs to be transposed.
class LayerNodes {
 public:
  LayerNodes(GraphWriter& writer, const NetworkGraph& graph, const std::vector<float>& weights, int n)
      : writer_(writer), graph_(graph), weights_(weights), n_(n) {}

  /// The node's result from its sources' values: each as it is, or already padded if the layer has a border.
  std::string layer(int node, const std::vector<std::string>& sources);
  /// The value on level `level` with `border` ghost cells, as link_table has them.
  std::string padded(const std::string& name, const std::string& value, CellLink link, int level, int border);

 private:
  std::string convolution(int node, const std::vector<std::string>& sources);
  std::string convolve(int node, const std::string& name, const std::string& value, int first_block, bool flipped);
  std::string normalisation(int node, const std::string& value);
  std::string activated(const NetworkNode& node, const std::string& value);

  GraphWriter& writer_;
  const NetworkGraph& graph_;
  const std::vector<float>& weights_;
  int n_;
};

/// Weights of a convolution, (kernel, kernel, in, out), in ONNX' order (out, in, 1, kernel, kernel); `flipped` reverses
/// the rows of the kernel.
std::vector<float> onnx_weights(const ParameterBlock& block, const float* weights, bool flipped = false);
/// The way back, without flip.
std::vector<float> weights_from_onnx(const ParameterBlock& block, const float* weights);
Dimensions onnx_shape(const ParameterBlock& block);


/// The whole graph of a model (ml/onnx/model_export.cpp), without metadata.
void write_model_graph(const Model& model, const StaticFields& statics, onnx::GraphProto& graph);

}  // namespace tramontane
