#include "ml/networks/graph_builder.hpp"

namespace tramontane {

int GraphBuilder::convolution(const std::string& name, int kernel, int level, int out_channels,
                              std::vector<NetworkSource> sources) {
  constexpr Activation active = Activation::capped_leaky_relu;
  if (spec_.norm == "none") return plain_convolution(name, kernel, 1, level, out_channels, std::move(sources), active);
  const int linear = plain_convolution(name, kernel, 1, level, out_channels, std::move(sources), Activation::linear);
  return normalisation(name + ".norm", linear, active);
}

int GraphBuilder::plain_convolution(const std::string& name, int kernel, int dilation, int level, int out_channels,
                                    std::vector<NetworkSource> sources, Activation activation, double gain) {
  NetworkNode node;
  node.name = name;
  node.kind = "convolution";
  node.attributes.kernel = kernel;
  node.attributes.dilation = dilation;
  node.attributes.polar = spec_.kernels == "polar";
  node.level = level;
  node.out_channels = out_channels;
  node.activation = activation;
  node.sources = std::move(sources);
  const int k = graph_.add(std::move(node));
  for (int b = graph_.nodes[k].first_block; b < static_cast<int>(graph_.blocks.size()); ++b)
    graph_.blocks[b].gain = gain;
  return k;
}

int GraphBuilder::normalisation(const std::string& name, int source, Activation activation) {
  if (spec_.norm == "none") return source;
  NetworkNode node;
  node.name = name;
  node.kind = "normalisation";
  node.attributes.groups = spec_.norm == "group" ? spec_.groups : 1;
  node.level = graph_.nodes[source].level;
  node.activation = activation;
  node.sources = {{source}};
  return graph_.add(std::move(node));
}

int GraphBuilder::addition(const std::string& name, int a, int b) {
  NetworkNode node;
  node.name = name;
  node.kind = "addition";
  node.level = graph_.nodes[a].level;
  node.sources = {{a}, {b}};
  return graph_.add(std::move(node));
}

int GraphBuilder::output(int source) {
  const int k = plain_convolution("output", 1, 1, 0, spec_.outputs, {{source}}, Activation::linear);
  for (int b = graph_.nodes[k].first_block; b < static_cast<int>(graph_.blocks.size()); ++b)
    graph_.blocks[b].initial = InitialValues::zero;
  return k;
}

}  // namespace tramontane
