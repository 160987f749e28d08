// Operators that move values about or speak of shapes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "ml/onnx/operators.hpp"

namespace tramontane {
namespace {

/// A value of `shape` whose k-th element is element from(k) of x.
template <class From>
Tensor picked(const Tensor& x, const Dimensions& shape, const From& from) {
  const std::int64_t count = product(shape);
  if (x.is_real) {
    std::vector<float> values(count);
    for (std::int64_t k = 0; k < count; ++k) values[k] = x.real[from(k)];
    return Tensor::of(shape, std::move(values));
  }
  std::vector<std::int64_t> values(count);
  for (std::int64_t k = 0; k < count; ++k) values[k] = x.whole[from(k)];
  return Tensor::of(shape, std::move(values));
}

/// A value of `shape` whose element at a place comes from x at start + sum over axes of place[axis] * stride[axis].
Tensor strided(const Tensor& x, const Dimensions& shape, std::int64_t start, const Dimensions& strides) {
  Dimensions place(shape.size(), 0);
  std::int64_t at = start;
  return picked(x, shape, [&](std::int64_t) {
    const std::int64_t here = at;
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      at += strides[axis];
      if (++place[axis] < shape[axis]) break;
      at -= strides[axis] * shape[axis];
      place[axis] = 0;
    }
    return here;
  });
}

Dimensions strides_of(const Dimensions& shape) {
  Dimensions strides(shape.size(), 1);
  for (std::size_t k = shape.size(); k-- > 1;) strides[k - 1] = strides[k] * shape[k];
  return strides;
}

Tensor reshaped(const NodeCall& call, Dimensions shape) {
  const bool negative = std::any_of(shape.begin(), shape.end(), [](std::int64_t extent) { return extent < 0; });
  if (negative || product(shape) != call.input(0).size())
    call.fail(fmt::format("can not give {} values the shape ({})", call.input(0).size(), fmt::join(shape, ", ")));
  Tensor result = call.input(0);
  result.shape = std::move(shape);
  return result;
}

std::vector<Tensor> reshape(const NodeCall& call) {
  Dimensions shape = call.wholes(1);
  const Dimensions& from = call.input(0).shape;
  std::int64_t open = -1;
  for (std::size_t k = 0; k < shape.size(); ++k) {
    if (shape[k] == 0 && call.integer("allowzero", 0) == 0) {
      if (k >= from.size()) call.fail("copies an extent that its input lacks");
      shape[k] = from[k];
    }
    if (shape[k] == -1) open = static_cast<std::int64_t>(k);
  }
  if (open >= 0) {
    shape[open] = 1;
    const std::int64_t others = product(shape);
    shape[open] = others > 0 ? call.input(0).size() / others : 0;
  }
  return {reshaped(call, std::move(shape))};
}

std::vector<Tensor> flatten(const NodeCall& call) {
  const Dimensions& from = call.input(0).shape;
  const std::int64_t axis = call.integer("axis", 1), rank = std::ssize(from);
  const std::size_t cut = axis == rank ? from.size() : call.axis(axis, rank);
  return {reshaped(call, {product(from, 0, cut), product(from, cut, from.size())})};
}

std::vector<Tensor> unsqueeze(const NodeCall& call) {
  const Dimensions axes = call.integers_or_input("axes", 1);
  const std::int64_t rank = call.input(0).rank() + std::ssize(axes);
  std::vector<bool> added(rank, false);
  for (std::int64_t a : axes) added[call.axis(a, rank)] = true;
  Dimensions shape;
  std::size_t next = 0;
  for (std::int64_t k = 0; k < rank; ++k) shape.push_back(added[k] ? 1 : call.input(0).shape.at(next++));
  return {reshaped(call, std::move(shape))};
}

std::vector<Tensor> squeeze(const NodeCall& call) {
  const Dimensions axes = call.integers_or_input("axes", 1), &from = call.input(0).shape;
  std::vector<bool> dropped(from.size(), false);
  for (std::int64_t a : axes) dropped[call.axis(a, std::ssize(from))] = true;
  Dimensions shape;
  for (std::size_t k = 0; k < from.size(); ++k)
    if (!(axes.empty() ? from[k] == 1 : dropped[k])) shape.push_back(from[k]);
  return {reshaped(call, std::move(shape))};
}

std::vector<Tensor> transpose(const NodeCall& call) {
  const Tensor& x = call.input(0);
  Dimensions identity(x.shape.size());
  std::iota(identity.begin(), identity.end(), 0);
  const Dimensions order = call.integers("perm", {identity.rbegin(), identity.rend()});
  if (!std::is_permutation(order.begin(), order.end(), identity.begin(), identity.end()))
    call.fail("permutes other axes than its input has");
  const Dimensions from = strides_of(x.shape);
  Dimensions shape, strides;
  for (std::int64_t a : order) {
    const std::size_t axis = call.axis(a, x.rank());
    shape.push_back(x.shape[axis]);
    strides.push_back(from[axis]);
  }
  return {strided(x, shape, 0, strides)};
}

std::vector<Tensor> concat(const NodeCall& call) {
  const Tensor& first = call.input(0);
  const std::size_t axis = call.axis(call.integer("axis", 0), first.rank());
  Tensor result;
  result.is_real = first.is_real;
  result.shape = first.shape;
  result.shape[axis] = 0;
  for (std::size_t k = 0; k < call.inputs.size(); ++k) {
    Dimensions shape = call.input(k).shape;
    if (shape.size() != first.shape.size() || call.input(k).is_real != first.is_real)
      call.fail("joins values of different kinds");
    result.shape[axis] += shape[axis];
    shape[axis] = first.shape[axis];
    if (shape != first.shape) call.fail("joins values whose other extents differ");
  }
  const std::int64_t outer = product(first.shape, 0, axis);
  for (std::int64_t o = 0; o < outer; ++o)
    for (const Tensor* x : call.inputs) {
      const std::int64_t chunk = product(x->shape, axis, x->shape.size());
      if (x->is_real)
        result.real.insert(result.real.end(), x->real.begin() + o * chunk, x->real.begin() + (o + 1) * chunk);
      else
        result.whole.insert(result.whole.end(), x->whole.begin() + o * chunk, x->whole.begin() + (o + 1) * chunk);
    }
  return {std::move(result)};
}

Tensor part(const Tensor& x, std::size_t axis, std::int64_t begin, std::int64_t end) {
  Dimensions shape = x.shape;
  shape[axis] = end - begin;
  const Dimensions strides = strides_of(x.shape);
  return strided(x, shape, begin * strides[axis], strides);
}

std::vector<Tensor> split(const NodeCall& call) {
  const Tensor& x = call.input(0);
  const std::size_t axis = call.axis(call.integer("axis", 0), x.rank());
  Dimensions sizes = call.integers_or_input("split", 1);
  const std::int64_t parts = call.node.output_size(), extent = x.shape[axis], size = (extent + parts - 1) / parts;
  for (std::int64_t k = 0; sizes.size() < static_cast<std::size_t>(parts); ++k)
    sizes.push_back(std::min(size, extent - k * size));
  std::int64_t begin = 0;
  std::vector<Tensor> result;
  for (std::int64_t s : sizes) {
    if (s < 0 || begin + s > extent) call.fail("splits off more than there is");
    result.push_back(part(x, axis, begin, begin + s));
    begin += s;
  }
  return result;
}

std::vector<Tensor> slice(const NodeCall& call) {
  const Tensor& x = call.input(0);
  const Dimensions &begins = call.wholes(1), &ends = call.wholes(2);
  Dimensions axes, steps(begins.size(), 1), shape = x.shape, strides = strides_of(x.shape);
  for (std::size_t k = 0; k < begins.size(); ++k) axes.push_back(static_cast<std::int64_t>(k));
  if (call.has(3)) axes = call.wholes(3);
  if (call.has(4)) steps = call.wholes(4);
  if (ends.size() != begins.size() || axes.size() != begins.size() || steps.size() != begins.size())
    call.fail("has beginnings, ends, axes and steps of different number");
  std::int64_t start = 0;
  for (std::size_t k = 0; k < begins.size(); ++k) {
    const std::size_t axis = call.axis(axes[k], x.rank());
    const std::int64_t extent = x.shape[axis], step = steps[k];
    if (step == 0) call.fail("has a step of zero");
    const std::int64_t low = step > 0 ? 0 : -1, high = step > 0 ? extent : extent - 1;
    const auto place = [&](std::int64_t v) { return std::clamp(v < 0 ? v + extent : v, low, high); };
    const std::int64_t begin = std::max<std::int64_t>(place(begins[k]), 0), end = place(ends[k]);
    const std::int64_t length = step > 0 ? end - begin : begin - end, stride = std::abs(step);
    shape[axis] = length > 0 ? (length + stride - 1) / stride : 0;
    start += begin * strides[axis];
    strides[axis] *= step;
  }
  return {strided(x, shape, start, strides)};
}

std::vector<Tensor> gather(const NodeCall& call) {
  const Tensor &x = call.input(0), &places = call.input(1);
  const std::size_t axis = call.axis(call.integer("axis", 0), x.rank());
  Dimensions shape(x.shape.begin(), x.shape.begin() + static_cast<std::ptrdiff_t>(axis));
  shape.insert(shape.end(), places.shape.begin(), places.shape.end());
  shape.insert(shape.end(), x.shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1, x.shape.end());
  const std::int64_t extent = x.shape[axis], inner = product(x.shape, axis + 1, x.shape.size());
  Dimensions wanted = call.wholes(1);
  for (std::int64_t& place : wanted) {
    if (place < -extent || place >= extent) call.fail(fmt::format("reaches for element {} of {}", place, extent));
    if (place < 0) place += extent;
  }
  const std::int64_t count = std::ssize(wanted);
  std::int64_t outer = 0, row = 0, within = 0;
  return {picked(x, shape, [&](std::int64_t) {
    const std::int64_t here = (outer * extent + wanted[row]) * inner + within;
    if (++within == inner) {
      within = 0;
      if (++row == count) row = 0, ++outer;
    }
    return here;
  })};
}

Tensor expanded(const NodeCall& call, const Dimensions& wanted) {
  const Tensor& x = call.input(0);
  Dimensions shape(std::max(wanted.size(), x.shape.size()), 1), strides(shape.size(), 0);
  std::copy(wanted.rbegin(), wanted.rend(), shape.rbegin());
  const Dimensions from = strides_of(x.shape);
  const std::size_t ahead = shape.size() - x.shape.size();
  for (std::size_t k = 0; k < x.shape.size(); ++k) {
    std::int64_t& extent = shape[ahead + k];
    if (extent == 1) extent = x.shape[k];
    if (x.shape[k] != 1 && x.shape[k] != extent) call.fail("expands to a shape that does not fit");
    if (x.shape[k] != 1) strides[ahead + k] = from[k];
  }
  return strided(x, shape, 0, strides);
}

std::vector<Tensor> shape_of(const NodeCall& call) {
  const Dimensions& shape = call.input(0).shape;
  const std::int64_t rank = std::ssize(shape);
  const auto place = [&](std::int64_t v) { return std::clamp<std::int64_t>(v < 0 ? v + rank : v, 0, rank); };
  const std::int64_t begin = place(call.integer("start", 0)), end = std::max(begin, place(call.integer("end", rank)));
  const Dimensions part(shape.begin() + begin, shape.begin() + end);
  return {Tensor::of({std::ssize(part)}, part)};
}

std::vector<Tensor> constant(const NodeCall& call) {
  try {
    if (const auto* value = call.attribute("value")) return {Tensor::from(value->t())};
  } catch (const std::runtime_error& error) {
    call.fail(fmt::format("has a value that can not be read: {}", error.what()));
  }
  if (const auto* value = call.attribute("value_float")) return {Tensor::of({}, std::vector<float>{value->f()})};
  if (const auto* value = call.attribute("value_int")) return {Tensor::of({}, Dimensions{value->i()})};
  if (call.attribute("value_ints")) {
    const Dimensions values = call.integers("value_ints", {});
    return {Tensor::of({std::ssize(values)}, values)};
  }
  if (const auto* value = call.attribute("value_floats"))
    return {Tensor::of({value->floats_size()}, std::vector<float>(value->floats().begin(), value->floats().end()))};
  call.fail("has no value that is known");
}

std::vector<Tensor> constant_of_shape(const NodeCall& call) {
  const Dimensions shape = call.wholes(0);
  Tensor value = Tensor::of({1}, std::vector<float>{0});
  if (const auto* given = call.attribute("value")) value = Tensor::from(given->t());
  return {picked(value, shape, [](std::int64_t) { return 0; })};
}

/// Padding with a constant, the edge's value, the mirror image or the other end.
std::vector<Tensor> pad(const NodeCall& call) {
  const Tensor& x = call.input(0);
  const Dimensions pads = call.integers_or_input("pads", 1);
  const std::string mode = call.text("mode", "constant");
  Dimensions axes;
  for (std::int64_t k = 0; k < x.rank(); ++k) axes.push_back(k);
  if (call.has(3)) axes = call.wholes(3);
  if (pads.size() != 2 * axes.size()) call.fail("has another number of pads than axes");
  const float fill = call.has(2) && call.input(2).size() == 1 ? call.reals(2)[0] : call.number("value", 0);
  Tensor result = Tensor::of(x.shape, call.reals(0));
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const std::size_t axis = call.axis(axes[k], x.rank());
    const std::int64_t before = pads[k], behind = pads[k + axes.size()], extent = result.shape[axis];
    if (before == 0 && behind == 0) continue;
    if (before < 0 || behind < 0) call.fail("cuts off by negative pads, which is not known");
    const std::int64_t outer = product(result.shape, 0, axis),
                       inner = product(result.shape, axis + 1, result.shape.size()), wide = extent + before + behind;
    std::vector<float> values(outer * wide * inner, fill);
    for (std::int64_t o = 0; o < outer; ++o)
      for (std::int64_t row = 0; row < wide; ++row) {
        std::int64_t from = row - before;
        if (from < 0 || from >= extent) {
          if (mode == "constant") continue;
          if (mode == "edge") from = std::clamp<std::int64_t>(from, 0, extent - 1);
          if (mode == "reflect") from = from < 0 ? -from : 2 * (extent - 1) - from;
          if (mode == "wrap") from = (from + extent) % extent;
          if (from < 0 || from >= extent) call.fail("pads by more than its input is wide, or in an unknown mode");
        }
        std::copy_n(result.real.begin() + (o * extent + from) * inner, inner,
                    values.begin() + (o * wide + row) * inner);
      }
    result.shape[axis] = wide;
    result.real = std::move(values);
  }
  return {std::move(result)};
}

}  // namespace

void add_shape_operators(OperatorTable& table) {
  table["Reshape"] = reshape;
  table["Flatten"] = flatten;
  table["Unsqueeze"] = unsqueeze;
  table["Squeeze"] = squeeze;
  table["Transpose"] = transpose;
  table["Concat"] = concat;
  table["Split"] = split;
  table["Slice"] = slice;
  table["Gather"] = gather;
  table["Expand"] = [](const NodeCall& call) { return std::vector<Tensor>{expanded(call, call.wholes(1))}; };
  table["Shape"] = shape_of;
  table["Constant"] = constant;
  table["ConstantOfShape"] = constant_of_shape;
  table["Pad"] = pad;
}

}  // namespace tramontane
