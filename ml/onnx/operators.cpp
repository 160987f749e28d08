#include "ml/onnx/operators.hpp"

#include <fmt/format.h>

#include <cstring>

#include "kernels/errors.hpp"

namespace tramontane {
namespace {

template <class Stored, class T>
std::vector<T> raw_values(const std::string& raw, std::int64_t count) {
  if (raw.size() != count * sizeof(Stored)) throw std::runtime_error("its data have the wrong length");
  std::vector<Stored> stored(count);
  std::memcpy(stored.data(), raw.data(), raw.size());
  return {stored.begin(), stored.end()};
}

template <class Field, class T>
std::vector<T> field_values(const Field& field, std::int64_t count) {
  if (field.size() != count) throw std::runtime_error("its data have the wrong length");
  return {field.begin(), field.end()};
}

}  // namespace

std::int64_t product(const Dimensions& shape, std::size_t begin, std::size_t end) {
  std::int64_t size = 1;
  for (std::size_t k = begin; k < end; ++k) size *= shape[k];
  return size;
}

Tensor Tensor::of(Dimensions shape, std::vector<float> values) {
  Tensor t;
  t.shape = std::move(shape);
  t.real = std::move(values);
  return t;
}

Tensor Tensor::of(Dimensions shape, std::vector<std::int64_t> values) {
  Tensor t;
  t.shape = std::move(shape);
  t.whole = std::move(values);
  t.is_real = false;
  return t;
}

Tensor Tensor::from(const onnx::TensorProto& p) {
  if (p.data_location() == onnx::TensorProto::EXTERNAL)
    throw std::runtime_error("its data are in another file: save the model with all data inside");
  const Dimensions shape(p.dims().begin(), p.dims().end());
  for (std::int64_t extent : shape)
    if (extent < 0) throw std::runtime_error("it has a negative extent");
  const std::int64_t count = product(shape);
  const bool raw = p.has_raw_data();
  using Proto = onnx::TensorProto;
  using Reals = std::vector<float>;
  using Wholes = std::vector<std::int64_t>;
  const auto reals = [&](Reals values) { return of(shape, std::move(values)); };
  const auto wholes = [&](Wholes values) { return of(shape, std::move(values)); };
  switch (p.data_type()) {
    case Proto::FLOAT:
      return reals(raw ? raw_values<float, float>(p.raw_data(), count)
                       : field_values<decltype(p.float_data()), float>(p.float_data(), count));
    case Proto::DOUBLE:
      return reals(raw ? raw_values<double, float>(p.raw_data(), count)
                       : field_values<decltype(p.double_data()), float>(p.double_data(), count));
    case Proto::INT64:
      return wholes(raw ? raw_values<std::int64_t, std::int64_t>(p.raw_data(), count)
                        : field_values<decltype(p.int64_data()), std::int64_t>(p.int64_data(), count));
    case Proto::INT32:
      return wholes(raw ? raw_values<std::int32_t, std::int64_t>(p.raw_data(), count)
                        : field_values<decltype(p.int32_data()), std::int64_t>(p.int32_data(), count));
    case Proto::BOOL:
      return wholes(raw ? raw_values<std::uint8_t, std::int64_t>(p.raw_data(), count)
                        : field_values<decltype(p.int32_data()), std::int64_t>(p.int32_data(), count));
    default:
      throw std::runtime_error("its numbers are neither float, double, integers nor truth values: export the model in "
                               "single precision");
  }
}

std::string name_of(const onnx::NodeProto& node) {
  return fmt::format("'{}' ({})", node.name().empty() && node.output_size() > 0 ? node.output(0) : node.name(),
                     node.op_type());
}

void NodeCall::fail(const std::string& what) const {
  throw InputError(fmt::format("node {} {}", name_of(node), what));
}

const Tensor& NodeCall::input(std::size_t k) const {
  if (!has(k)) fail(fmt::format("lacks its input {}", k));
  return *inputs[k];
}

const std::vector<float>& NodeCall::reals(std::size_t k) const {
  if (!input(k).is_real) fail(fmt::format("expects real numbers as input {} and got integers", k));
  return input(k).real;
}

const std::vector<std::int64_t>& NodeCall::wholes(std::size_t k) const {
  if (input(k).is_real) fail(fmt::format("expects integers as input {} and got real numbers", k));
  return input(k).whole;
}

const onnx::AttributeProto* NodeCall::attribute(const std::string& name) const {
  for (const onnx::AttributeProto& a : node.attribute())
    if (a.name() == name) return &a;
  return nullptr;
}

std::int64_t NodeCall::integer(const std::string& name, std::int64_t otherwise) const {
  const auto* a = attribute(name);
  return a ? a->i() : otherwise;
}

float NodeCall::number(const std::string& name, float otherwise) const {
  const auto* a = attribute(name);
  return a ? a->f() : otherwise;
}

std::string NodeCall::text(const std::string& name, const std::string& otherwise) const {
  const auto* a = attribute(name);
  return a ? a->s() : otherwise;
}

Dimensions NodeCall::integers(const std::string& name, const Dimensions& otherwise) const {
  const auto* a = attribute(name);
  return a ? Dimensions(a->ints().begin(), a->ints().end()) : otherwise;
}

std::size_t NodeCall::axis(std::int64_t value, std::int64_t rank) const {
  if (value < -rank || value >= rank) fail(fmt::format("has axis {} of a value with {} axes", value, rank));
  return static_cast<std::size_t>(value < 0 ? value + rank : value);
}

Dimensions NodeCall::integers_or_input(const std::string& name, std::size_t k) const {
  return attribute(name) || !has(k) ? integers(name, {}) : Dimensions(wholes(k));
}

const OperatorTable& onnx_operators() {
  static const OperatorTable all = [] {
    OperatorTable table;
    add_elementwise_operators(table);
    add_reduction_operators(table);
    add_shape_operators(table);
    add_spatial_operators(table);
    return table;
  }();
  return all;
}

}  // namespace tramontane
