#include "ml/onnx/graph_writer.hpp"

#include <algorithm>

namespace tramontane {
namespace {

template <class T>
void fill(onnx::TensorProto& tensor, const std::string& name, const Dimensions& shape, const std::vector<T>& values,
          onnx::TensorProto::DataType type) {
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (std::int64_t extent : shape) tensor.add_dims(extent);
  // Raw bytes are little-endian, as every machine is that this program is built for.
  tensor.set_raw_data(values.data(), values.size() * sizeof(T));
}

}  // namespace

bool GraphWriter::has_constant(const std::string& name) const {
  return std::any_of(graph_.initializer().begin(), graph_.initializer().end(),
                     [&](const onnx::TensorProto& t) { return t.name() == name; });
}

std::string GraphWriter::constant(const std::string& name, const Dimensions& shape, const std::vector<float>& values) {
  if (!has_constant(name)) fill(*graph_.add_initializer(), name, shape, values, onnx::TensorProto::FLOAT);
  return name;
}

std::string GraphWriter::constant(const std::string& name, const Dimensions& shape,
                                  const std::vector<std::int64_t>& values) {
  if (!has_constant(name)) fill(*graph_.add_initializer(), name, shape, values, onnx::TensorProto::INT64);
  return name;
}

std::string GraphWriter::node(const std::string& type, const std::string& name, const std::vector<std::string>& inputs,
                              const std::vector<OnnxAttribute>& attributes) {
  return node_with_outputs(type, name, inputs, {name}, attributes).front();
}

std::vector<std::string> GraphWriter::node_with_outputs(const std::string& type, const std::string& name,
                                                        const std::vector<std::string>& inputs,
                                                        const std::vector<std::string>& outputs,
                                                        const std::vector<OnnxAttribute>& attributes) {
  onnx::NodeProto& node = *graph_.add_node();
  node.set_op_type(type);
  node.set_name(name);
  for (const std::string& input : inputs) node.add_input(input);
  for (const std::string& output : outputs) node.add_output(output);
  for (const OnnxAttribute& a : attributes) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(a.name);
    if (const auto* whole = std::get_if<std::int64_t>(&a.value)) {
      attribute.set_type(onnx::AttributeProto::INT);
      attribute.set_i(*whole);
    } else if (const auto* number = std::get_if<float>(&a.value)) {
      attribute.set_type(onnx::AttributeProto::FLOAT);
      attribute.set_f(*number);
    } else {
      attribute.set_type(onnx::AttributeProto::INTS);
      for (std::int64_t value : std::get<Dimensions>(a.value)) attribute.add_ints(value);
    }
  }
  return outputs;
}

std::string GraphWriter::reshape(const std::string& name, const std::string& value, const Dimensions& shape) {
  const Dimensions length = {static_cast<std::int64_t>(shape.size())};
  return node("Reshape", name, {value, constant(name + ".shape", length, shape)});
}

std::string GraphWriter::concat(const std::string& name, const std::vector<std::string>& values, int axis) {
  if (values.size() == 1) return values.front();
  return node("Concat", name, values, {{"axis", std::int64_t{axis}}});
}

std::string GraphWriter::slice(const std::string& name, const std::string& value, const Dimensions& begin,
                               const Dimensions& end, const Dimensions& axes) {
  const Dimensions length = {static_cast<std::int64_t>(axes.size())};
  return node("Slice", name,
              {value, constant(name + ".begin", length, begin), constant(name + ".end", length, end),
               constant(name + ".axes", length, axes)});
}

void describe_value(onnx::ValueInfoProto& value, const std::string& name, const Dimensions& shape,
                    const std::string& text) {
  value.set_name(name);
  value.set_doc_string(text);
  auto& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(onnx::TensorProto::FLOAT);
  for (std::int64_t extent : shape) {
    auto& dimension = *tensor.mutable_shape()->add_dim();
    if (extent < 0)
      dimension.set_dim_param("batch");
    else
      dimension.set_dim_value(extent);
  }
}

}  // namespace tramontane
