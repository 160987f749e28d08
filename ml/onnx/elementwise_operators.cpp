// Operators that work value by value, with numpy's broadcasting (ONNX, "Broadcasting").
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "ml/onnx/operators.hpp"

namespace tramontane {
namespace {

Dimensions broadcast_shape(const NodeCall& call, const Dimensions& a, const Dimensions& b) {
  Dimensions shape(std::max(a.size(), b.size()), 1);
  for (std::size_t k = 0; k < shape.size(); ++k) {
    const std::int64_t x = k < a.size() ? a[a.size() - 1 - k] : 1, y = k < b.size() ? b[b.size() - 1 - k] : 1;
    if (x != y && x != 1 && y != 1)
      call.fail(fmt::format("can not combine shapes ({}) and ({})", fmt::join(a, ", "), fmt::join(b, ", ")));
    shape[shape.size() - 1 - k] = x == 1 ? y : x;
  }
  return shape;
}

/// Distances in a value of shape `from` between neighbours along the axes of `shape`, 0 where it is repeated.
Dimensions strides_in(const Dimensions& from, const Dimensions& shape) {
  Dimensions strides(shape.size(), 0);
  std::int64_t stride = 1;
  for (std::size_t k = 0; k < from.size(); ++k) {
    const std::size_t axis = from.size() - 1 - k;
    if (from[axis] != 1) strides[shape.size() - 1 - k] = stride;
    stride *= from[axis];
  }
  return strides;
}

template <class T, class Body>
std::vector<T> combined(const Dimensions& shape, const std::vector<T>& a, const Dimensions& a_shape,
                        const std::vector<T>& b, const Dimensions& b_shape, const Body& body) {
  std::vector<T> result(product(shape));
  if (result.empty()) return result;
  const Dimensions sa = strides_in(a_shape, shape), sb = strides_in(b_shape, shape);
  const std::size_t rank = shape.size();
  const std::int64_t inner = rank > 0 ? shape[rank - 1] : 1;
  const std::int64_t step_a = rank > 0 ? sa[rank - 1] : 0, step_b = rank > 0 ? sb[rank - 1] : 0;
  Dimensions place(rank, 0);
  std::int64_t at_a = 0, at_b = 0;
  for (std::int64_t at = 0; at < std::ssize(result); at += inner) {
    for (std::int64_t k = 0; k < inner; ++k) result[at + k] = body(a[at_a + k * step_a], b[at_b + k * step_b]);
    for (std::size_t axis = rank > 0 ? rank - 1 : 0; axis-- > 0;) {
      at_a += sa[axis], at_b += sb[axis];
      if (++place[axis] < shape[axis]) break;
      at_a -= sa[axis] * shape[axis], at_b -= sb[axis] * shape[axis];
      place[axis] = 0;
    }
  }
  return result;
}

template <class Reals, class Wholes>
Tensor pair_of(const NodeCall& call, const Tensor& a, const Tensor& b, const Reals& reals, const Wholes& wholes) {
  const Dimensions shape = broadcast_shape(call, a.shape, b.shape);
  if (a.is_real != b.is_real) call.fail("mixes real numbers with integers");
  if (a.is_real) return Tensor::of(shape, combined(shape, a.real, a.shape, b.real, b.shape, reals));
  return Tensor::of(shape, combined(shape, a.whole, a.shape, b.whole, b.shape, wholes));
}

/// An operator of two or more inputs, taken together from the left.
template <class Body>
Operator folding(Body body) {
  return [body](const NodeCall& call) {
    Tensor result = call.input(0);
    for (std::size_t k = 1; k < call.inputs.size(); ++k)
      result = pair_of(
          call, result, call.input(k), [&](float x, float y) { return body(x, y); },
          [&](std::int64_t x, std::int64_t y) { return body(x, y); });
    return std::vector<Tensor>{std::move(result)};
  };
}

template <class Body>
Operator mapping(Body body) {
  return [body](const NodeCall& call) {
    Tensor result = Tensor::of(call.input(0).shape, call.reals(0));
    for (float& v : result.real) v = body(v, call);
    return std::vector<Tensor>{std::move(result)};
  };
}

std::vector<Tensor> divide(const NodeCall& call) {
  if (!call.input(1).is_real)
    for (std::int64_t v : call.wholes(1))
      if (v == 0) call.fail("divides an integer by zero");
  return {pair_of(
      call, call.input(0), call.input(1), [](float x, float y) { return x / y; },
      [](std::int64_t x, std::int64_t y) { return x / y; })};
}

std::vector<Tensor> power(const NodeCall& call) {
  if (call.input(1).is_real == call.input(0).is_real || !call.input(0).is_real)
    return {pair_of(
        call, call.input(0), call.input(1), [](float x, float y) { return std::pow(x, y); },
        [](std::int64_t x, std::int64_t y) { return static_cast<std::int64_t>(std::pow(x, y)); })};
  const Tensor exponent =
      Tensor::of(call.input(1).shape, std::vector<float>(call.wholes(1).begin(), call.wholes(1).end()));
  return {pair_of(
      call, call.input(0), exponent, [](float x, float y) { return std::pow(x, y); },
      [](std::int64_t x, std::int64_t) { return x; })};
}

/// Bounds are inputs since operator set 11.
std::vector<Tensor> clip(const NodeCall& call) {
  Tensor result = Tensor::of(call.input(0).shape, call.reals(0));
  const auto bound = [&](std::size_t k, const char* name, float otherwise) {
    if (!call.has(k)) return call.number(name, otherwise);
    if (call.input(k).size() != 1) call.fail("has a bound that is not one number");
    return call.reals(k)[0];
  };
  const float low = bound(1, "min", -INFINITY), high = bound(2, "max", INFINITY);
  for (float& v : result.real) v = v < low ? low : v > high ? high : v;
  return {std::move(result)};
}

std::vector<Tensor> cast(const NodeCall& call) {
  const Tensor& from = call.input(0);
  const std::int64_t to = call.integer("to", 0);
  using Proto = onnx::TensorProto;
  if (to == Proto::FLOAT || to == Proto::DOUBLE)
    return {from.is_real ? from : Tensor::of(from.shape, std::vector<float>(from.whole.begin(), from.whole.end()))};
  if (to != Proto::INT64 && to != Proto::INT32 && to != Proto::BOOL)
    call.fail("casts to a type other than float, double, integer or truth value");
  Tensor result = from.is_real
                      ? Tensor::of(from.shape, std::vector<std::int64_t>(from.real.begin(), from.real.end()))
                      : from;
  if (to == Proto::BOOL)
    for (std::int64_t k = 0; k < result.size(); ++k)
      result.whole[k] = from.is_real ? from.real[k] != 0 : from.whole[k] != 0;
  return {std::move(result)};
}

}  // namespace

void add_elementwise_operators(OperatorTable& table) {
  table["Add"] = table["Sum"] = folding([](auto x, auto y) { return x + y; });
  table["Sub"] = folding([](auto x, auto y) { return x - y; });
  table["Mul"] = folding([](auto x, auto y) { return x * y; });
  table["Div"] = divide;
  table["Pow"] = power;
  // A value that is not a number wins, so that it is seen.
  table["Min"] = folding([](auto x, auto y) { return y < x || y != y ? y : x; });
  table["Max"] = folding([](auto x, auto y) { return y > x || y != y ? y : x; });
  table["Clip"] = clip;
  table["Cast"] = cast;
  const auto identity = [](const NodeCall& call) { return std::vector<Tensor>{call.input(0)}; };
  table["Identity"] = identity;
  table["Dropout"] = identity;  // in inference
  table["Abs"] = mapping([](float v, const NodeCall&) { return std::abs(v); });
  table["Neg"] = mapping([](float v, const NodeCall&) { return -v; });
  table["Sqrt"] = mapping([](float v, const NodeCall&) { return std::sqrt(v); });
  table["Reciprocal"] = mapping([](float v, const NodeCall&) { return 1 / v; });
  table["Exp"] = mapping([](float v, const NodeCall&) { return std::exp(v); });
  table["Log"] = mapping([](float v, const NodeCall&) { return std::log(v); });
  table["Sin"] = mapping([](float v, const NodeCall&) { return std::sin(v); });
  table["Cos"] = mapping([](float v, const NodeCall&) { return std::cos(v); });
  table["Erf"] = mapping([](float v, const NodeCall&) { return std::erf(v); });
  table["Tanh"] = mapping([](float v, const NodeCall&) { return std::tanh(v); });
  table["Sigmoid"] = mapping([](float v, const NodeCall&) { return 1 / (1 + std::exp(-v)); });
  table["Softplus"] = mapping([](float v, const NodeCall&) { return v > 20 ? v : std::log1p(std::exp(v)); });
  table["Relu"] = mapping([](float v, const NodeCall&) { return v < 0 ? 0 : v; });
  const auto leaky = [](float default_alpha) {
    return [default_alpha](const NodeCall& call) {
      Tensor result = Tensor::of(call.input(0).shape, call.reals(0));
      const float alpha = call.number("alpha", default_alpha);
      for (float& v : result.real) v = v < 0 ? alpha * v : v;
      return std::vector<Tensor>{std::move(result)};
    };
  };
  table["LeakyRelu"] = leaky(0.01f);
  table["Elu"] =
      mapping([](float v, const NodeCall& call) { return v < 0 ? call.number("alpha", 1) * std::expm1(v) : v; });
  table["Gelu"] = [](const NodeCall& call) {
    if (call.text("approximate", "none") != "none") call.fail("approximates its function: export it exact");
    Tensor result = Tensor::of(call.input(0).shape, call.reals(0));
    for (float& v : result.real) v = 0.5f * v * (1 + std::erf(v * 0.70710678f));
    return std::vector<Tensor>{std::move(result)};
  };
}

}  // namespace tramontane
