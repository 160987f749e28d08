/// What a network consists of: nodes of layer kinds (ml/layers/) with the links between them, and the parameters that
/// they hold. ml/networks/ builds graphs from specifications.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ml/backend.hpp"
#include "ml/cell_table.hpp"

namespace tramontane {

/// Everything that decides a network's architecture; together with weights it is a network.
struct NetworkSpec {
  std::string type = "unet";  ///< a name of network_names()
  int inputs = 0;             ///< channels that enter, static ones included
  int outputs = 0;
  int width = 32;  ///< channels of the first level, doubled with each level
  int levels = 3;  ///< levels of the U-Net, hidden layers of the MLP
  int n = 0;       ///< cells per panel edge
  int tiles_per_edge = 1;
  int blocks = 6;                          ///< of the convnext
  std::vector<int> dilations = {1, 2, 4};  ///< of its blocks, in turn
  int expansion = 2;                       ///< channels inside a block over width
  std::string norm = "none";               ///< none, layer or group: normalisation of each cell over its channels
  int groups = 4;                          ///< of channels, with norm group
  std::string kernels = "shared";          ///< shared by the panels, or polar: two panels have their own
  bool operator==(const NetworkSpec&) const = default;
};

/// Where a node's input comes from: the output of another node (or, -1, the network's input).
struct NetworkSource {
  int node;
  CellLink link = CellLink::halo;  ///< unused where the layer's border is 0: it then reads its sources in place
};

/// What the layer kinds are told; each kind says which of these it knows.
struct LayerAttributes {
  int kernel = 1;      ///< edge of a convolution's kernel, 1 or 3
  int dilation = 1;    ///< cells from one tap of a convolution's kernel to the next
  bool polar = false;  ///< a convolution has kernels of its own for the two panels at the poles
  int groups = 1;      ///< of channels that a normalisation takes together
  bool operator==(const LayerAttributes&) const = default;
};

/// One layer of the network. An output is (images, T, T, out_channels) on the node's level, which has n / 2^level cells
/// per panel edge. A layer with a border (see LayerKind) reads one padded array, the concatenation of its sources'
/// channels; one without reads its sources in place.
struct NetworkNode {
  std::string name;
  std::string kind;  ///< a name of layer_names()
  LayerAttributes attributes;
  int level = 0;
  int out_channels = 0;
  Activation activation = Activation::linear;  ///< applied to the layer's result
  std::vector<NetworkSource> sources;
  // Set by NetworkGraph::add.
  int in_channels = 0;                   ///< of all sources together
  int first_block = 0, block_count = 0;  ///< its part of NetworkGraph::blocks
};

/// Fewest channels of a group that is normalised: of two, only the sign of their difference would be left.
inline constexpr int kLeastGroup = 4;

enum class InitialValues { he, zero, one };

/// A contiguous part of the flat parameter buffer, such as the weights (kernel, kernel, in, out) or the bias (out) of
/// a convolution.
struct ParameterBlock {
  std::string name;
  std::vector<int> shape;
  std::size_t offset, size;
  bool decays;  ///< weight decay applies to convolution weights, not to biases
  int fan_in;
  InitialValues initial = InitialValues::he;  ///< blocks that do not decay start at zero with `he`
  double gain = 1;                            ///< factor on He's values
};

/// The network as a list in order of evaluation; the last node is the output.
struct NetworkGraph {
  int inputs = 0;
  std::vector<NetworkNode> nodes;
  std::vector<ParameterBlock> blocks;  ///< in the order of the nodes

  /// Appends a node whose sources are there already and returns its number. The shape rule of its kind gives channels
  /// and parameter blocks. Throws InputError on an unknown kind or channels that do not fit.
  int add(NetworkNode node);

  std::size_t parameters() const;
  /// Floating-point operations of the convolutions for one sphere, forward; a training step takes three times that.
  double flops_per_sample(int n) const;
  /// Width in cells of the input region that one output cell can see.
  int receptive_field() const;
  /// Channels of a node's output; of the network's input for -1.
  int channels_of(int node) const { return node < 0 ? inputs : nodes[node].out_channels; }
};

/// Channels in which `channels` of a network's input or output are stored: the next multiple of 16, which oneDNN's
/// blocked kernels need to reach their speed.
inline int storage_channels(int channels) {
  return (channels + 15) / 16 * 16;
}

/// How a node's arrays are laid out for tiles of `tile_cells` cells per edge on level 0.
struct NodeArrays {
  int size;       ///< cells per tile edge at the node's level
  int border;     ///< ghost cells that its layer reads around them
  int in_stride;  ///< channels stored in its padded input or, without border, in its sources
  int out_stride;
  /// Elements of an image of the padded input (0 without border) and of the output.
  std::size_t x, y;
};
NodeArrays arrays_of(const NetworkGraph& graph, int node, int tile_cells);

/// Which buffers a backward pass needs, found by playing it through: the gradient of a node's output lives from its
/// last reader to the node itself, and buffers are used again.
struct GradientPlan {
  struct Use {
    bool overwrites;  ///< the first contribution to its source's gradient
    bool completes;   ///< the last one
  };
  std::vector<int> buffer_of;          ///< per node; -1 for the last, whose gradient the caller writes
  std::vector<std::size_t> buffers;    ///< elements of an image of each buffer
  std::vector<std::vector<Use>> uses;  ///< per node and source
  std::size_t scratch = 0;             ///< elements of an image of the largest input gradient
};
GradientPlan plan_gradient(const NetworkGraph& graph, int tile_cells);

/// Elements of activations and of their gradients that training holds for one sphere of n cells per panel edge.
double training_elements(const NetworkGraph& graph, int n, int tiles_per_edge);

/// Throws InputError, in one sentence each: unknown type, sizes below one, tiles that the levels do not divide.
void check(const NetworkSpec& spec);

/// Builds the graph of a specification (check is called first).
NetworkGraph build_graph(const NetworkSpec& spec);

/// He's initialisation, uniform (He et al. 2015), biases zero; the output layer is zero, so that an untrained network
/// is neutral. From a counter-based generator and multiplications only: the same on every machine.
std::vector<float> initial_parameters(const NetworkGraph& graph, std::uint64_t seed);

}  // namespace tramontane
