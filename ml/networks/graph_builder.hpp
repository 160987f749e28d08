/// Nodes that the architectures share, as the specification asks for them.
#pragma once

#include <string>
#include <vector>

#include "ml/network_graph.hpp"

namespace tramontane {

class GraphBuilder {
 public:
  GraphBuilder(const NetworkSpec& spec, NetworkGraph& graph) : spec_(spec), graph_(graph) {}

  /// A convolution of one or more sources with the capped leaky ReLU behind it and, if the specification asks for
  /// normalisation, that in between. Returns the number of the node that ends it.
  int convolution(const std::string& name, int kernel, int level, int out_channels, std::vector<NetworkSource> sources);
  /// A convolution alone. `gain` multiplies its initial weights.
  int plain_convolution(const std::string& name, int kernel, int dilation, int level, int out_channels,
                        std::vector<NetworkSource> sources, Activation activation, double gain = 1);
  /// The normalisation that the specification asks for, or `source` itself.
  int normalisation(const std::string& name, int source, Activation activation);
  int addition(const std::string& name, int a, int b);
  /// The linear 1 x 1 convolution at the end, which starts at zero, so that an untrained network is neutral.
  int output(int source);

 private:
  const NetworkSpec& spec_;
  NetworkGraph& graph_;
};

}  // namespace tramontane
