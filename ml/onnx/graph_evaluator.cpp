#include "ml/onnx/graph_evaluator.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kernels/errors.hpp"

namespace tramontane {

GraphEvaluator::GraphEvaluator(onnx::ModelProto model) : model_(std::move(model)) {
  for (const auto& set : model_.opset_import())
    if (set.domain().empty() || set.domain() == "ai.onnx") operator_set_ = set.version();
  if (operator_set_ < 11 || operator_set_ > 21)
    throw InputError(fmt::format("it uses operator set {} of ONNX, but sets 11 to 21 are known: export it anew, for "
                                 "example with opset_version = 17",
                                 operator_set_));
  const onnx::GraphProto& graph = model_.graph();
  for (const onnx::NodeProto& node : graph.node()) {
    if (!node.domain().empty() && node.domain() != "ai.onnx")
      throw InputError(fmt::format("node {} uses an operator of {}, and only the standard ones are known: export the "
                                   "model with standard operators",
                                   name_of(node), node.domain()));
    if (!onnx_operators().contains(node.op_type())) {
      std::vector<std::string> known;
      for (const auto& [name, unused] : onnx_operators()) known.push_back(name);
      throw InputError(fmt::format("node {} uses the operator {}, which is not known: export the model with some of {}",
                                   name_of(node), node.op_type(), fmt::join(known, ", ")));
    }
  }
  for (const onnx::TensorProto& tensor : graph.initializer()) try {
      constants_[tensor.name()] = Tensor::from(tensor);
    } catch (const std::runtime_error& error) {
      throw InputError(fmt::format("the constant '{}' can not be read: {}", tensor.name(), error.what()));
    }
  int inputs = 0;
  for (const onnx::ValueInfoProto& value : graph.input())
    if (!constants_.contains(value.name())) input_ = value.name(), ++inputs;
  if (inputs != 1 || graph.output_size() != 1)
    throw InputError(fmt::format("it has {} inputs and {} outputs where one each is expected: fields and tendencies",
                                 inputs, graph.output_size()));
  output_ = graph.output(0).name();
  for (int k = 0; k < graph.node_size(); ++k)
    for (const std::string& name : graph.node(k).input()) last_use_[name] = k;
  last_use_[output_] = graph.node_size();
}

Dimensions GraphEvaluator::input_shape() const {
  Dimensions shape;
  for (const onnx::ValueInfoProto& value : model_.graph().input())
    if (value.name() == input_)
      for (const auto& d : value.type().tensor_type().shape().dim())
        shape.push_back(d.has_dim_value() ? d.dim_value() : -1);
  return shape;
}

Tensor GraphEvaluator::evaluate(Tensor input) const {
  std::map<std::string, Tensor> values;
  values[input_] = std::move(input);
  const auto find = [&](const std::string& name) -> const Tensor* {
    if (const auto value = values.find(name); value != values.end()) return &value->second;
    const auto constant = constants_.find(name);
    return constant == constants_.end() ? nullptr : &constant->second;
  };
  const onnx::GraphProto& graph = model_.graph();
  for (int k = 0; k < graph.node_size(); ++k) {
    const onnx::NodeProto& node = graph.node(k);
    NodeCall call{node, operator_set_, {}};
    for (const std::string& name : node.input()) {
      call.inputs.push_back(name.empty() ? nullptr : find(name));
      if (!name.empty() && !call.inputs.back())
        call.fail(fmt::format("reads '{}', which nothing before it makes", name));
    }
    std::vector<Tensor> results = onnx_operators().at(node.op_type())(call);
    for (int o = 0; o < node.output_size(); ++o) {
      if (node.output(o).empty()) continue;
      if (o >= std::ssize(results)) {
        if (last_use_.contains(node.output(o))) call.fail(fmt::format("gives no output {}", o));
        continue;
      }
      values[node.output(o)] = std::move(results[o]);
    }
    for (const std::string& name : node.input())
      if (last_use_.at(name) == k) values.erase(name);
  }
  const Tensor* result = find(output_);
  if (!result || !result->is_real) throw InputError(fmt::format("its output '{}' is made by no node", output_));
  return *result;
}

}  // namespace tramontane
