/// The standard operators that graphs are executed with: those of our own exports and of plain convolutional networks.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace tramontane {

using Dimensions = std::vector<std::int64_t>;

/// A value of a graph, row-major. Numbers of all widths are held as float or 64-bit integer; truth values are integers.
struct Tensor {
  Dimensions shape;
  bool is_real = true;
  std::vector<float> real;
  std::vector<std::int64_t> whole;

  static Tensor of(Dimensions shape, std::vector<float> values);
  static Tensor of(Dimensions shape, std::vector<std::int64_t> values);
  /// Throws std::runtime_error for types and external data that are not read.
  static Tensor from(const onnx::TensorProto& proto);
  std::int64_t rank() const { return static_cast<std::int64_t>(shape.size()); }
  std::int64_t size() const { return is_real ? std::ssize(real) : std::ssize(whole); }
};

std::int64_t product(const Dimensions& shape, std::size_t begin, std::size_t end);
inline std::int64_t product(const Dimensions& shape) {
  return product(shape, 0, shape.size());
}

/// A node with its inputs at hand.
struct NodeCall {
  const onnx::NodeProto& node;
  std::int64_t operator_set;
  std::vector<const Tensor*> inputs;  ///< null where left out

  bool has(std::size_t k) const { return k < inputs.size() && inputs[k] != nullptr; }
  const Tensor& input(std::size_t k) const;
  const std::vector<float>& reals(std::size_t k) const;
  const std::vector<std::int64_t>& wholes(std::size_t k) const;
  const onnx::AttributeProto* attribute(const std::string& name) const;
  std::int64_t integer(const std::string& name, std::int64_t otherwise) const;
  float number(const std::string& name, float otherwise) const;
  std::string text(const std::string& name, const std::string& otherwise) const;
  Dimensions integers(const std::string& name, const Dimensions& otherwise) const;
  /// An axis, counted from the end if negative.
  std::size_t axis(std::int64_t value, std::int64_t rank) const;
  /// Attribute `name`, which later operator sets made input k.
  Dimensions integers_or_input(const std::string& name, std::size_t k) const;
  [[noreturn]] void fail(const std::string& what) const;
};

using Operator = std::function<std::vector<Tensor>(const NodeCall&)>;
using OperatorTable = std::map<std::string, Operator>;

// Each is defined in the file of its name.
void add_elementwise_operators(OperatorTable& table);
void add_reduction_operators(OperatorTable& table);
void add_shape_operators(OperatorTable& table);
void add_spatial_operators(OperatorTable& table);

/// All of them by name.
const OperatorTable& onnx_operators();
/// 'name' (Type), for messages.
std::string name_of(const onnx::NodeProto& node);

}  // namespace tramontane
