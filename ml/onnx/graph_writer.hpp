/// Builds an ONNX graph node by node. Only files of ml/onnx include this: the messages of ONNX stay in here.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace tramontane {

using Dimensions = std::vector<std::int64_t>;

/// An attribute of a node.
struct OnnxAttribute {
  std::string name;
  std::variant<std::int64_t, float, Dimensions> value;
};

/// Values are known by their names; a node has one output, named as the node, unless said otherwise.
class GraphWriter {
 public:
  explicit GraphWriter(onnx::GraphProto& graph) : graph_(graph) {}

  /// A constant of the file; a name that is there already is returned as it is.
  std::string constant(const std::string& name, const Dimensions& shape, const std::vector<float>& values);
  std::string constant(const std::string& name, const Dimensions& shape, const std::vector<std::int64_t>& values);
  bool has_constant(const std::string& name) const;

  std::string node(const std::string& type, const std::string& name, const std::vector<std::string>& inputs,
                   const std::vector<OnnxAttribute>& attributes = {});
  std::vector<std::string> node_with_outputs(const std::string& type, const std::string& name,
                                             const std::vector<std::string>& inputs,
                                             const std::vector<std::string>& outputs,
                                             const std::vector<OnnxAttribute>& attributes);

  // What several layers need.
  std::string reshape(const std::string& name, const std::string& value, const Dimensions& shape);
  std::string concat(const std::string& name, const std::vector<std::string>& values, int axis);
  /// Values [begin, end) along each of the axes.
  std::string slice(const std::string& name, const std::string& value, const Dimensions& begin, const Dimensions& end,
                    const Dimensions& axes);

 private:
  onnx::GraphProto& graph_;
};

/// Adds a value of single precision to a graph's inputs or outputs; a dimension of -1 is called "batch".
void describe_value(onnx::ValueInfoProto& value, const std::string& name, const Dimensions& shape,
                    const std::string& text);

}  // namespace tramontane
