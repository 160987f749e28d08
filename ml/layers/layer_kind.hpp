/// The kinds of layers that networks are built from. A new kind is one file here, a line in layer_kind.cpp, and its
/// test.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ml/memory.hpp"
#include "ml/network_graph.hpp"

namespace tramontane {

/// What a layer is made for: one node of a network, on some tiles.
template <class Scalar>
struct LayerContext {
  const NetworkGraph& graph;
  const NetworkNode& node;
  NodeArrays arrays;
  std::vector<int> panels;  ///< of each image
  /// Handle one image a call, so that no arithmetic can depend on how many tiles a rank owns.
  bool one_image_at_a_time;
  Backend<Scalar>& backend;
};

/// One layer at work. All pointers are into the back end's memory. A layer with a border gets one source, its padded
/// input (images, T + 2 border, T + 2 border, in_stride); one without gets each source as it is (images, T, T,
/// in_stride). Outputs are (images, T, T, out_stride). `parameters` and `gradient` are the network's flat buffers.
template <class Scalar>
class Layer {
 public:
  using Parameter = ParameterOf<Scalar>;
  virtual ~Layer() = default;
  /// Called after every change of the parameters, which then stay in place until the next call.
  virtual void set_parameters(const Parameter* parameters) { (void)parameters; }
  /// Writes y, activation included, and zeros to padding channels.
  virtual void forward(const std::vector<const Scalar*>& sources, Scalar* y) = 0;
  /// Adds to this node's blocks of the gradient; dy is the gradient before the activation.
  virtual void backward_parameters(const std::vector<const Scalar*>& sources, const Scalar* dy, Parameter* gradient) {
    (void)sources, (void)dy, (void)gradient;
  }
  /// Writes the gradient with respect to source `source`, laid out as that source. Not called for kinds whose
  /// gradient passes through.
  virtual void backward_data(const std::vector<const Scalar*>& sources, const Scalar* dy, int source, Scalar* dx) = 0;
};

/// Added to the variance of a normalisation.
inline constexpr double kNormalisationEpsilon = 1e-5;

class LayerKind {
 public:
  virtual ~LayerKind() = default;
  virtual std::string name() const = 0;
  /// Ghost cells that the layer reads around its tiles; 0: it reads its sources in place, cell by cell.
  virtual int border(const NetworkNode&) const { return 0; }
  /// The shape rule. Sets or checks node.out_channels and returns the parameter blocks without their place: names
  /// without the node's, shapes, and how they start. Throws InputError if the channels of the sources do not fit.
  virtual std::vector<ParameterBlock> shape(NetworkNode& node, const std::vector<int>& source_channels) const = 0;
  /// Nominal floating-point operations of the forward pass; convolutions count, the rest is nothing beside them.
  virtual double flops_per_cell(const NetworkNode&) const { return 0; }
  /// Whether the gradient with respect to every source is that with respect to the output.
  virtual bool passes_gradient() const { return false; }
  virtual std::unique_ptr<Layer<float>> make(const LayerContext<float>&) const = 0;
  virtual std::unique_ptr<Layer<double>> make(const LayerContext<double>&) const = 0;
  virtual std::unique_ptr<Layer<Bfloat16>> make(const LayerContext<Bfloat16>&) const = 0;
};

/// A kind whose layers are LayerType<Scalar>.
template <template <class> class LayerType>
class LayerKindOf : public LayerKind {
 public:
  std::unique_ptr<Layer<float>> make(const LayerContext<float>& c) const override {
    return std::make_unique<LayerType<float>>(c);
  }
  std::unique_ptr<Layer<double>> make(const LayerContext<double>& c) const override {
    return std::make_unique<LayerType<double>>(c);
  }
  std::unique_ptr<Layer<Bfloat16>> make(const LayerContext<Bfloat16>& c) const override {
    return std::make_unique<LayerType<Bfloat16>>(c);
  }
};

/// The kind of a name. Throws InputError, naming those there are, if there is none.
const LayerKind& layer_kind(const std::string& name);
std::vector<std::string> layer_names();

}  // namespace tramontane
