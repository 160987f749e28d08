/// What a network consists of, as a list of convolutions and the links between them, and the U-Net built from that.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ml/backend.hpp"
#include "ml/network_halo.hpp"

namespace tramontane {

struct NetworkSpec {
  std::string type = "unet";  ///< "unet", or "mlp": 1 x 1 convolutions only, cell by cell
  int inputs = 0;             ///< channels that enter, static ones included
  int outputs = 0;
  int width = 32;  ///< channels of the first level, doubled with each level
  int levels = 3;  ///< levels of the U-Net, hidden layers of the MLP
  int n = 0;       ///< cells per panel edge
  int tiles_per_edge = 1;
  bool operator==(const NetworkSpec&) const = default;
};

/// Where a convolution's input channels come from: the output of another one (or, -1, the network's input).
struct NetworkSource {
  int node;
  CellLink link;  ///< unused for 1 x 1 convolutions, which read their one source in place
};

/// One convolution of the network. Its input is the concatenation of its sources.
struct NetworkNode {
  std::string name;
  int kernel, level, in_channels, out_channels;
  Activation activation;
  std::vector<NetworkSource> sources;
};

/// A contiguous part of the flat parameter buffer: weights (kernel, kernel, in, out) or bias (out).
struct ParameterBlock {
  std::string name;
  std::vector<int> shape;
  std::size_t offset, size;
  bool decays;  ///< weight decay applies to convolution weights, not to biases
  int fan_in;
};

/// The network as a list in order of evaluation; the last node is the output.
struct NetworkGraph {
  int inputs = 0;
  std::vector<NetworkNode> nodes;
  std::vector<ParameterBlock> blocks;  ///< weights and bias of node k at 2 k and 2 k + 1

  std::size_t parameters() const;
  /// Floating-point operations of the convolutions for one sphere, forward; a training step takes three times that.
  double flops_per_sample(int n) const;
  /// Width in cells of the input region that one output cell can see.
  int receptive_field() const;
};

/// Channels in which `channels` of a network's input or output are stored: the next multiple of 16, which oneDNN's
/// blocked kernels need to reach their speed.
inline int storage_channels(int channels) {
  return (channels + 15) / 16 * 16;
}

/// Throws InputError, in one sentence each: unknown type, sizes below one, tiles that the levels do not divide.
void check(const NetworkSpec& spec);

/// Builds the graph (check is called first). U-Net (Ronneberger et al. 2015, in the form of Weyn et al. 2020): two
/// 3 x 3 convolutions a level, average pooling, nearest-neighbour upsampling, skips by concatenation, linear 1 x 1
/// output.
NetworkGraph build_graph(const NetworkSpec& spec);

/// He's initialisation, uniform (He et al. 2015), biases zero; the output layer is zero, so that an untrained network
/// is neutral. From a counter-based generator and multiplications only: the same on every machine.
std::vector<float> initial_parameters(const NetworkGraph& graph, std::uint64_t seed);

}  // namespace tramontane
