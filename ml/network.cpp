#include "ml/network.hpp"

#include "kernels/errors.hpp"
#include "kernels/network_elementwise.hpp"

namespace tramontane {

template <class Scalar>
Network<Scalar>::Network(const NetworkGraph& graph, std::shared_ptr<Backend<Scalar>> backend,
                         std::shared_ptr<NetworkHalo<Scalar>> halo, bool one_tile_at_a_time)
    : graph_(graph),
      backend_(std::move(backend)),
      halo_(std::move(halo)),
      images_(halo_->images()),
      input_stride_(storage_channels(graph.inputs)) {
  if (halo_->memory() != memory())
    throw InputError("the network's halo is in another memory than its back end " + backend_->name());
  const int tile_cells = halo_->grid().tile_cells();
  input_ = MemoryBuffer<Scalar>("network input", cells() * input_stride_, memory());
  for (std::size_t k = 0; k < graph_.nodes.size(); ++k) {
    const NetworkNode& node = graph_.nodes[k];
    Step step;
    step.arrays = arrays_of(graph_, static_cast<int>(k), tile_cells);
    step.y = MemoryBuffer<Scalar>(node.name + " output", step.arrays.y * images_, memory());
    if (step.arrays.border > 0) {
      step.x = MemoryBuffer<Scalar>(node.name + " input", step.arrays.x * images_, memory());
      step.sources = {step.x.data()};
    } else {
      for (const NetworkSource& s : node.sources) step.sources.push_back(node_output(s.node));
    }
    step.layer = layer_kind(node.kind).make(
        LayerContext<Scalar>{graph_, node, step.arrays, halo_->panels(), one_tile_at_a_time, *backend_});
    steps_.push_back(std::move(step));
  }
}

template <class Scalar>
std::size_t Network<Scalar>::cells() const {
  return static_cast<std::size_t>(images_) * halo_->grid().cells_per_tile();
}

template <class Scalar>
void Network<Scalar>::set_parameters(const Parameter* parameters) {
  for (Step& step : steps_) step.layer->set_parameters(parameters);
}

template <class Scalar>
void Network<Scalar>::load_parameters(const Parameter* host) {
  if (own_parameters_.size() == 0)
    own_parameters_ = MemoryBuffer<Parameter>("parameters", graph_.parameters(), memory());
  own_parameters_.copy_from_host(host, own_parameters_.size());
  set_parameters(own_parameters_.data());
}

template <class Scalar>
bool Network<Scalar>::has_finite_parameters() const {
  std::size_t bad = 0;
  in_space(memory(), [&](auto space) {
    bad = count_not_finite<decltype(space)>(own_parameters_.size(), own_parameters_.data());
  });
  return bad == 0;
}

template <class Scalar>
void Network<Scalar>::set_input_transform(std::function<void(Scalar*)> transform) {
  input_transform_ = std::move(transform);
  Step& first = steps_[0];
  if (first.arrays.border > 1)
    throw InputError("the first layer's halo is wider than the input's transformation knows: give it no dilation");
  if (first.arrays.border == 1 || first.x.size() > 0) return;
  const int size = first.arrays.size, padded = size + 2;
  CellTable inner;
  inner.columns = images_ * padded * padded;
  for (int image = 0; image < images_; ++image)
    for (int j = 1; j <= size; ++j)
      for (int i = 1; i <= size; ++i) {
        inner.source.push_back((image * padded + j) * padded + i);
        inner.weight.push_back(1);
        inner.row_begin.push_back(static_cast<int>(inner.source.size()));
      }
  inner_cells_ = GatherTable(inner, memory());
  padded_input_ =
      MemoryBuffer<Scalar>("padded network input", static_cast<std::size_t>(inner.columns) * input_stride_, memory());
  first.x = MemoryBuffer<Scalar>("transformed network input", input_.size(), memory());
  first.sources[0] = first.x.data();
}

template <class Scalar>
void Network<Scalar>::transform_inner_cells() {
  const ChannelRange all{input_stride_, 0, input_stride_};
  halo_->fill(CellLink::halo, 0, input_.data(), all, padded_input_.data(), all);
  input_transform_(padded_input_.data());
  GatherArguments<Scalar> a;
  a.source = padded_input_.data();
  a.target = steps_[0].x.data();
  a.source_stride = a.target_stride = a.channels = input_stride_;
  a.local_cells = inner_cells_.columns();
  in_space(memory(), [&](auto space) { gather_rows<decltype(space)>(inner_cells_.view(), a); });
}

template <class Scalar>
void Network<Scalar>::forward() {
  for (std::size_t k = 0; k < steps_.size(); ++k) {
    const NetworkNode& node = graph_.nodes[k];
    Step& step = steps_[k];
    if (step.arrays.border > 0) {
      int offset = 0;
      for (const NetworkSource& s : node.sources) {
        const int count = node_channels(s.node);
        halo_->fill(s.link, node.level, node_output(s.node), {node_stride(s.node), 0, count}, step.x.data(),
                    {step.arrays.in_stride, offset, count}, step.arrays.border);
        offset += count;
      }
      if (k == 0 && input_transform_) input_transform_(step.x.data());
    } else if (k == 0 && input_transform_) {
      transform_inner_cells();
    }
    step.layer->forward(step.sources, step.y.data());
  }
}

template <class Scalar>
std::string Network<Scalar>::first_layer_not_finite() const {
  auto finite = [&](const MemoryBuffer<Scalar>& b) {
    std::size_t found = 0;
    in_space(memory(), [&](auto space) { found = count_not_finite<decltype(space)>(b.size(), b.data()); });
    return found == 0;
  };
  if (!finite(input_)) return "input";
  for (std::size_t k = 0; k < steps_.size(); ++k)
    if (!finite(steps_[k].y)) return graph_.nodes[k].name;
  return "";
}

template <class Scalar>
NetworkGradient<Scalar>::NetworkGradient(Network<Scalar>& network, std::shared_ptr<LocalHalo<Scalar>> halo)
    : network_(network), halo_(std::move(halo)), plan_(plan_gradient(network.graph_, halo_->grid().tile_cells())) {
  const std::size_t images = network_.images_;
  scratch_ = MemoryBuffer<Scalar>("input gradient", plan_.scratch * images, network_.memory());
  for (std::size_t size : plan_.buffers) buffers_.emplace_back("output gradient", size * images, network_.memory());
  output_gradient_ = MemoryBuffer<Scalar>("network gradient", network_.steps_.back().y.size(), network_.memory());
}

/// The output that the activation's derivative is taken from, once all contributions to a node's gradient are there.
template <class Scalar>
const Scalar* NetworkGradient<Scalar>::activated_output(int node, bool completes) const {
  const bool active = network_.graph_.nodes[node].activation == Activation::capped_leaky_relu;
  return completes && active ? network_.steps_[node].y.data() : nullptr;
}

/// Adds a layer's share to the gradient of one of its sources, which starts at `channel` of the layer's input. With a
/// border, scratch_ holds the gradient of the layer's padded input.
template <class Scalar>
void NetworkGradient<Scalar>::contribute(int node, int source, int channel, const Scalar* dy) {
  using Number = ArithmeticOf<Scalar>;
  constexpr Number slope = kLeakySlope, cap = kLeakyCap;
  const NetworkNode& here = network_.graph_.nodes[node];
  auto& step = network_.steps_[node];
  const NetworkSource& from = here.sources[source];
  const GradientPlan::Use use = plan_.uses[node][source];
  auto& target = network_.steps_[from.node];
  Scalar* gradient = buffers_[plan_.buffer_of[from.node]].data();
  const Scalar* output = activated_output(from.node, use.completes);
  if (step.arrays.border > 0) {
    const int count = network_.graph_.nodes[from.node].out_channels;
    halo_->adjoint(from.link, here.level, scratch_.data(), {step.arrays.in_stride, channel, count}, gradient,
                   {target.arrays.out_stride, 0, count}, !use.overwrites, output, slope, cap, step.arrays.border);
    return;
  }
  const std::size_t size = target.y.size();
  const bool passes = layer_kind(here.kind).passes_gradient();
  if (!passes) step.layer->backward_data(step.sources, dy, source, use.overwrites ? gradient : scratch_.data());
  in_space(network_.memory(), [&](auto space) {
    using Space = decltype(space);
    if (passes || !use.overwrites)
      add_elements<Space>(size, passes ? dy : scratch_.data(), !use.overwrites, output, slope, cap, gradient);
    else if (output)
      multiply_by_derivative<Space>(size, output, slope, cap, gradient);
  });
}

template <class Scalar>
void NetworkGradient<Scalar>::backward(Parameter* parameters, const BlocksDone& done) {
  for (int k = static_cast<int>(network_.steps_.size()) - 1; k >= 0; --k) {
    const NetworkNode& node = network_.graph_.nodes[k];
    auto& step = network_.steps_[k];
    const Scalar* dy = plan_.buffer_of[k] < 0 ? output_gradient_.data() : buffers_[plan_.buffer_of[k]].data();
    step.layer->backward_parameters(step.sources, dy, parameters);
    if (done && node.block_count > 0) done(node.first_block, node.first_block + node.block_count);
    bool padded_gradient = step.arrays.border == 0;
    int channel = 0;
    for (int s = 0; s < static_cast<int>(node.sources.size()); ++s) {
      const int from = node.sources[s].node;
      if (from >= 0) {  // the gradient with respect to the network's own input is nobody's business
        if (!padded_gradient) step.layer->backward_data(step.sources, dy, 0, scratch_.data());
        padded_gradient = true;
        contribute(k, s, channel, dy);
      }
      channel += network_.node_channels(from);
    }
  }
}

template class Network<float>;
template class Network<double>;
template class Network<Bfloat16>;
template class NetworkGradient<float>;
template class NetworkGradient<double>;
template class NetworkGradient<Bfloat16>;

}  // namespace tramontane
