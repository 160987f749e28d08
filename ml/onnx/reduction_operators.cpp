// Sums, means and extremes along axes, and matrix products.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ml/onnx/operators.hpp"

namespace tramontane {
namespace {

/// Sums grow in double: the order of a reduction over a whole sphere then shows in no digit of single precision.
template <class Add, class Finish>
Operator reducing(double start, Add add, Finish finish) {
  return [=](const NodeCall& call) {
    const Tensor& x = call.input(0);
    const std::vector<float>& values = call.reals(0);
    std::vector<bool> reduced(x.shape.size(), false);
    const Dimensions axes = call.integers_or_input("axes", 1);
    if (axes.empty() && call.integer("noop_with_empty_axes", 0) != 0) return std::vector<Tensor>{x};
    for (std::int64_t a : axes) reduced[call.axis(a, x.rank())] = true;
    if (axes.empty()) reduced.assign(reduced.size(), true);
    Dimensions kept, shape, strides(x.shape.size(), 0);
    std::int64_t count = 1, stride = 1;
    for (std::size_t k = 0; k < reduced.size(); ++k) {
      kept.push_back(reduced[k] ? 1 : x.shape[k]);
      if (!reduced[k] || call.integer("keepdims", 1) != 0) shape.push_back(kept.back());
      if (reduced[k]) count *= x.shape[k];
    }
    for (std::size_t k = reduced.size(); k-- > 0;) {
      if (!reduced[k]) strides[k] = stride;
      stride *= kept[k];
    }
    std::vector<double> sums(product(kept), start);
    Dimensions place(x.shape.size(), 0);
    std::int64_t to = 0;
    for (const float value : values) {
      sums[to] = add(sums[to], static_cast<double>(value));
      for (std::size_t axis = place.size(); axis-- > 0;) {
        to += strides[axis];
        if (++place[axis] < x.shape[axis]) break;
        to -= strides[axis] * x.shape[axis];
        place[axis] = 0;
      }
    }
    std::vector<float> result;
    for (double sum : sums) result.push_back(static_cast<float>(finish(sum, count)));
    return std::vector<Tensor>{Tensor::of(shape, std::move(result))};
  };
}

/// c (rows, columns) = a (rows, inner) b (inner, columns)
void multiply(const float* a, const float* b, std::int64_t rows, std::int64_t inner, std::int64_t columns, float* c) {
  std::fill_n(c, rows * columns, 0.0f);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t k = 0; k < inner; ++k) {
      const float w = a[r * inner + k];
      const float* from = b + k * columns;
      float* to = c + r * columns;
      for (std::int64_t j = 0; j < columns; ++j) to[j] += w * from[j];
    }
}

/// The right factor is one matrix, or as many as the left factor has.
std::vector<Tensor> matrix_product(const NodeCall& call) {
  const Tensor &a = call.input(0), &b = call.input(1);
  if (a.rank() < 2 || b.rank() < 2) call.fail("multiplies vectors: only matrices are known");
  const std::size_t ra = a.shape.size(), rb = b.shape.size();
  const std::int64_t rows = a.shape[ra - 2], inner = a.shape[ra - 1], columns = b.shape[rb - 1];
  const std::int64_t matrices = product(a.shape, 0, ra - 2), right = product(b.shape, 0, rb - 2);
  if (b.shape[rb - 2] != inner || (right != 1 && right != matrices)) call.fail("multiplies matrices that do not fit");
  Dimensions shape = a.shape;
  shape.back() = columns;
  std::vector<float> result(matrices * rows * columns);
  for (std::int64_t m = 0; m < matrices; ++m)
    multiply(call.reals(0).data() + m * rows * inner, call.reals(1).data() + (right == 1 ? 0 : m * inner * columns),
             rows, inner, columns, result.data() + m * rows * columns);
  return {Tensor::of(shape, std::move(result))};
}

std::vector<float> transposed_matrix(const std::vector<float>& m, std::int64_t rows, std::int64_t columns) {
  std::vector<float> result(m.size());
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c) result[c * rows + r] = m[r * columns + c];
  return result;
}

std::vector<Tensor> general_product(const NodeCall& call) {
  const Tensor &a = call.input(0), &b = call.input(1);
  if (a.rank() != 2 || b.rank() != 2) call.fail("expects two matrices");
  const bool turn_a = call.integer("transA", 0) != 0, turn_b = call.integer("transB", 0) != 0;
  const std::int64_t rows = a.shape[turn_a], inner = a.shape[!turn_a], columns = b.shape[!turn_b];
  if (b.shape[turn_b] != inner) call.fail("multiplies matrices that do not fit");
  const auto left = turn_a ? transposed_matrix(call.reals(0), inner, rows) : call.reals(0);
  const auto right = turn_b ? transposed_matrix(call.reals(1), columns, inner) : call.reals(1);
  std::vector<float> result(rows * columns);
  multiply(left.data(), right.data(), rows, inner, columns, result.data());
  const float alpha = call.number("alpha", 1), beta = call.number("beta", 1);
  const std::int64_t added = call.has(2) ? call.input(2).size() : 0;
  if (added != 0 && added != 1 && added != columns && added != rows * columns) call.fail("adds a matrix that does not fit");
  if (added == columns && call.input(2).rank() == 2 && call.input(2).shape[0] != 1 && columns != 1)
    call.fail("adds a column, which is not known");
  for (std::int64_t k = 0; k < rows * columns; ++k)
    result[k] = alpha * result[k] + (added > 0 ? beta * call.reals(2)[k % added] : 0);
  return {Tensor::of({rows, columns}, std::move(result))};
}

}  // namespace

void add_reduction_operators(OperatorTable& table) {
  const auto sum = [](double a, double v) { return a + v; };
  const auto as_it_is = [](double a, std::int64_t) { return a; };
  table["ReduceSum"] = reducing(0, sum, as_it_is);
  table["ReduceMean"] = reducing(0, sum, [](double a, std::int64_t count) { return a / static_cast<double>(count); });
  table["ReduceMax"] = reducing(-INFINITY, [](double a, double v) { return v > a || v != v ? v : a; }, as_it_is);
  table["ReduceMin"] = reducing(INFINITY, [](double a, double v) { return v < a || v != v ? v : a; }, as_it_is);
  table["ReduceL2"] = reducing(0, [](double a, double v) { return a + v * v; },
                               [](double a, std::int64_t) { return std::sqrt(a); });
  table["MatMul"] = matrix_product;
  table["Gemm"] = general_product;
}

}  // namespace tramontane
