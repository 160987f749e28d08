// Convolution, pooling, upsampling and normalisation over one to three dimensions in space.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ml/onnx/operators.hpp"

namespace tramontane {
namespace {

/// Numbers of one to three dimensions as those of three: dimensions in front have extent one.
Dimensions in_three(const NodeCall& call, Dimensions values, std::int64_t filler) {
  if (values.empty() || values.size() > 3) call.fail("works in other than one to three dimensions");
  values.insert(values.begin(), 3 - values.size(), filler);
  return values;
}

Dimensions space_of(const Tensor& x) {
  return {x.shape.begin() + 2, x.shape.end()};
}

/// A window that moves over a padded image of three dimensions.
struct Window {
  Dimensions in, kernel, strides, dilations, before, out;

  Window(const NodeCall& call, const Tensor& x, const Dimensions& kernel_shape) {
    if (x.rank() < 3) call.fail("expects (batch, channels, space ...)");
    const std::size_t rank = x.shape.size() - 2;
    if (kernel_shape.size() != rank) call.fail("has a kernel of another number of dimensions than its input");
    in = in_three(call, space_of(x), 1);
    kernel = in_three(call, kernel_shape, 1);
    strides = in_three(call, call.integers("strides", Dimensions(rank, 1)), 1);
    dilations = in_three(call, call.integers("dilations", Dimensions(rank, 1)), 1);
    const Dimensions pads = call.integers("pads", Dimensions(2 * rank, 0));
    if (pads.size() != 2 * rank) call.fail("has another number of pads than sides");
    before = in_three(call, {pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(rank)}, 0);
    const Dimensions behind = in_three(call, {pads.begin() + static_cast<std::ptrdiff_t>(rank), pads.end()}, 0);
    const std::string automatic = call.text("auto_pad", "NOTSET");
    if (automatic != "NOTSET" && automatic != "VALID") call.fail("pads by auto_pad: give it pads");
    if (call.integer("ceil_mode", 0) != 0) call.fail("rounds its extent up (ceil_mode), which is not known");
    for (int d = 0; d < 3; ++d) {
      if (strides[d] < 1 || dilations[d] < 1) call.fail("has a stride or dilation below one");
      const std::int64_t reach = dilations[d] * (kernel[d] - 1) + 1, wide = in[d] + before[d] + behind[d];
      if (wide < reach) call.fail("has a kernel that is wider than its padded input");
      out.push_back((wide - reach) / strides[d] + 1);
    }
  }

  Dimensions shape(const Tensor& x, std::int64_t channels) const {
    Dimensions result = {x.shape[0], channels};
    result.insert(result.end(), out.end() - (x.rank() - 2), out.end());
    return result;
  }
  std::int64_t in_size() const { return product(in); }
  std::int64_t out_size() const { return product(out); }

  /// Targets [begin, end) along dimension d whose source for a tap lies inside.
  std::pair<std::int64_t, std::int64_t> targets(int d, std::int64_t tap) const {
    const std::int64_t shift = tap * dilations[d] - before[d], s = strides[d];
    const std::int64_t begin = shift < 0 ? (-shift + s - 1) / s : 0;
    const std::int64_t end = in[d] - 1 - shift < 0 ? 0 : (in[d] - 1 - shift) / s + 1;
    return {begin, std::clamp(end, begin, std::max(begin, out[d]))};
  }

  /// Calls body(target row, source row, count, tap) for every row and tap: target[k] meets source[k * strides[2]].
  template <class Body>
  void for_each_row(const float* source, float* target, const Body& body) const {
    std::int64_t tap = 0;
    for (std::int64_t kz = 0; kz < kernel[0]; ++kz)
      for (std::int64_t ky = 0; ky < kernel[1]; ++ky)
        for (std::int64_t kx = 0; kx < kernel[2]; ++kx, ++tap) {
          const auto [z0, z1] = targets(0, kz);
          const auto [y0, y1] = targets(1, ky);
          const auto [x0, x1] = targets(2, kx);
          for (std::int64_t z = z0; z < z1; ++z)
            for (std::int64_t y = y0; y < y1; ++y) {
              const std::int64_t sz = z * strides[0] + kz * dilations[0] - before[0];
              const std::int64_t sy = y * strides[1] + ky * dilations[1] - before[1];
              const std::int64_t sx = x0 * strides[2] + kx * dilations[2] - before[2];
              body(target + (z * out[1] + y) * out[2] + x0, source + (sz * in[1] + sy) * in[2] + sx, x1 - x0, tap);
            }
        }
  }
};

std::vector<Tensor> convolution(const NodeCall& call) {
  const Tensor &x = call.input(0), &w = call.input(1);
  if (x.rank() < 3 || w.rank() != x.rank()) call.fail("expects (batch, channels, space ...) and weights to fit");
  const Window window(call, x, space_of(w));
  const std::int64_t groups = call.integer("group", 1), images = x.shape[0], in = x.shape[1], out = w.shape[0];
  if (groups < 1 || w.shape[1] * groups != in || out % groups != 0)
    call.fail(fmt::format("has weights for {} channels in {} groups and got {}", w.shape[1], groups, in));
  if (call.has(2) && call.input(2).size() != out) call.fail("has a bias of another number than channels");
  const std::int64_t taps = product(window.kernel), in_group = w.shape[1], out_group = out / groups;
  const std::int64_t source_size = window.in_size(), target_size = window.out_size(), step = window.strides[2];
  std::vector<float> y(images * out * target_size);
  const float *source = call.reals(0).data(), *weights = call.reals(1).data();
  for (std::int64_t image = 0; image < images; ++image)
    for (std::int64_t o = 0; o < out; ++o) {
      float* target = y.data() + (image * out + o) * target_size;
      std::fill_n(target, target_size, call.has(2) ? call.reals(2)[o] : 0.0f);
      for (std::int64_t i = 0; i < in_group; ++i) {
        const float* kernel = weights + (o * in_group + i) * taps;
        const std::int64_t channel = o / out_group * in_group + i;
        window.for_each_row(source + (image * in + channel) * source_size, target,
                            [&](float* to, const float* from, std::int64_t count, std::int64_t tap) {
                              const float weight = kernel[tap];
                              for (std::int64_t k = 0; k < count; ++k) to[k] += weight * from[k * step];
                            });
      }
    }
  return {Tensor::of(window.shape(x, out), std::move(y))};
}

std::vector<Tensor> average_pool(const NodeCall& call) {
  const Tensor& x = call.input(0);
  const Window window(call, x, call.integers("kernel_shape", {}));
  const bool pads_count = call.integer("count_include_pad", 0) != 0;
  const std::int64_t planes = x.shape[0] * x.shape[1], size = window.out_size(), step = window.strides[2];
  std::vector<float> y(planes * size, 0.0f), counts(size, 0.0f);
  const auto taps = static_cast<float>(product(window.kernel));
  for (std::int64_t plane = 0; plane < planes; ++plane) {
    float* target = y.data() + plane * size;
    window.for_each_row(call.reals(0).data() + plane * window.in_size(), target,
                        [&](float* to, const float* from, std::int64_t count, std::int64_t) {
                          for (std::int64_t k = 0; k < count; ++k) {
                            to[k] += from[k * step];
                            if (plane == 0) counts[to + k - target] += 1;
                          }
                        });
    for (std::int64_t k = 0; k < size; ++k) target[k] /= pads_count ? taps : counts[k];
  }
  return {Tensor::of(window.shape(x, x.shape[1]), std::move(y))};
}

std::vector<Tensor> max_pool(const NodeCall& call) {
  const Tensor& x = call.input(0);
  if (call.node.output_size() > 1) call.fail("gives the places of its maxima, which is not known");
  const Window window(call, x, call.integers("kernel_shape", {}));
  const std::int64_t planes = x.shape[0] * x.shape[1], size = window.out_size(), step = window.strides[2];
  std::vector<float> y(planes * size, -INFINITY);
  for (std::int64_t plane = 0; plane < planes; ++plane)
    window.for_each_row(call.reals(0).data() + plane * window.in_size(), y.data() + plane * size,
                        [&](float* to, const float* from, std::int64_t count, std::int64_t) {
                          for (std::int64_t k = 0; k < count; ++k) {
                            const float v = from[k * step];
                            if (v > to[k] || v != v) to[k] = v;
                          }
                        });
  return {Tensor::of(window.shape(x, x.shape[1]), std::move(y))};
}

std::vector<Tensor> global_average_pool(const NodeCall& call) {
  const Tensor& x = call.input(0);
  if (x.rank() < 3) call.fail("expects (batch, channels, space ...)");
  const std::int64_t size = product(x.shape, 2, x.shape.size());
  std::vector<float> y;
  for (std::int64_t plane = 0; plane < x.shape[0] * x.shape[1]; ++plane) {
    double sum = 0;
    for (std::int64_t k = 0; k < size; ++k) sum += call.reals(0)[plane * size + k];
    y.push_back(static_cast<float>(sum / static_cast<double>(size)));
  }
  Dimensions shape(x.shape.size(), 1);
  shape[0] = x.shape[0], shape[1] = x.shape[1];
  return {Tensor::of(shape, std::move(y))};
}

/// Nearest neighbour by whole factors, where all of ONNX' conventions of coordinates agree but align_corners.
std::vector<Tensor> resize(const NodeCall& call) {
  const Tensor& x = call.input(0);
  if (call.text("mode", "nearest") != "nearest" || call.text("coordinate_transformation_mode", "") == "align_corners")
    call.fail("interpolates otherwise than from the nearest neighbour: only that is known");
  Dimensions shape = x.shape, factors;
  const std::size_t scales = 2;
  for (std::size_t k = 0; k < shape.size(); ++k) {
    double factor = 0;
    if (call.has(3) && call.input(3).size() == x.rank())
      factor = static_cast<double>(call.wholes(3)[k]) / static_cast<double>(shape[k]);
    else if (call.has(scales) && call.input(scales).size() == x.rank())
      factor = call.reals(scales)[k];
    factors.push_back(std::llround(factor));
    if (factors[k] < 1 || std::abs(factor - static_cast<double>(factors[k])) > 1e-6)
      call.fail("resizes by a factor that is not whole: only whole ones are known");
    shape[k] *= factors[k];
  }
  std::vector<float> y(product(shape));
  Dimensions place(shape.size(), 0);
  for (float& value : y) {
    std::int64_t from = 0;
    for (std::size_t k = 0; k < shape.size(); ++k) from = from * x.shape[k] + place[k] / factors[k];
    value = call.reals(0)[from];
    for (std::size_t k = shape.size(); k-- > 0;) {
      if (++place[k] < shape[k]) break;
      place[k] = 0;
    }
  }
  return {Tensor::of(shape, std::move(y))};
}

std::vector<Tensor> batch_normalisation(const NodeCall& call) {
  const Tensor& x = call.input(0);
  if (call.integer("training_mode", 0) != 0) call.fail("is in training mode: export the model for inference");
  if (x.rank() < 2) call.fail("expects (batch, channels, space ...)");
  const std::int64_t channels = x.shape[1], size = product(x.shape, 2, x.shape.size());
  for (std::size_t k = 1; k <= 4; ++k)
    if (std::ssize(call.reals(k)) != channels) call.fail("has parameters of another number than channels");
  Tensor y = Tensor::of(x.shape, call.reals(0));
  for (std::int64_t plane = 0; plane < x.shape[0] * channels; ++plane) {
    const std::int64_t c = plane % channels;
    const float scale = call.reals(1)[c] / std::sqrt(call.reals(4)[c] + call.number("epsilon", 1e-5f));
    const float shift = call.reals(2)[c] - call.reals(3)[c] * scale;
    for (std::int64_t k = 0; k < size; ++k) y.real[plane * size + k] = scale * y.real[plane * size + k] + shift;
  }
  return {std::move(y)};
}

/// Takes mean and standard deviation off runs of `size` values.
void normalise_runs(std::vector<float>& values, std::int64_t size, float epsilon) {
  for (std::int64_t first = 0; first + size <= std::ssize(values); first += size) {
    float* run = values.data() + first;
    double mean = 0, variance = 0;
    for (std::int64_t k = 0; k < size; ++k) mean += run[k];
    mean /= static_cast<double>(size);
    for (std::int64_t k = 0; k < size; ++k) variance += (run[k] - mean) * (run[k] - mean);
    const double inverse = 1 / std::sqrt(variance / static_cast<double>(size) + epsilon);
    for (std::int64_t k = 0; k < size; ++k) run[k] = static_cast<float>((run[k] - mean) * inverse);
  }
}

/// Over each image and channel; what group normalisations of other programs are exported as.
std::vector<Tensor> instance_normalisation(const NodeCall& call) {
  const Tensor& x = call.input(0);
  if (x.rank() < 3) call.fail("expects (batch, channels, space ...)");
  const std::int64_t channels = x.shape[1], size = product(x.shape, 2, x.shape.size());
  if (std::ssize(call.reals(1)) != channels || std::ssize(call.reals(2)) != channels)
    call.fail("has parameters of another number than channels");
  Tensor y = Tensor::of(x.shape, call.reals(0));
  normalise_runs(y.real, size, call.number("epsilon", 1e-5f));
  for (std::int64_t k = 0; k < y.size(); ++k) {
    const std::int64_t c = k / size % channels;
    y.real[k] = y.real[k] * call.reals(1)[c] + call.reals(2)[c];
  }
  return {std::move(y)};
}

/// Over the axes from `axis` on.
std::vector<Tensor> layer_normalisation(const NodeCall& call) {
  const Tensor& x = call.input(0);
  const std::size_t axis = call.axis(call.integer("axis", -1), x.rank());
  const std::int64_t size = product(x.shape, axis, x.shape.size());
  if (std::ssize(call.reals(1)) != size || (call.has(2) && std::ssize(call.reals(2)) != size))
    call.fail("has parameters of another number than the values it normalises");
  if (call.node.output_size() > 1) call.fail("gives its statistics, which is not known");
  Tensor y = Tensor::of(x.shape, call.reals(0));
  normalise_runs(y.real, size, call.number("epsilon", 1e-5f));
  for (std::int64_t k = 0; k < y.size(); ++k)
    y.real[k] = y.real[k] * call.reals(1)[k % size] + (call.has(2) ? call.reals(2)[k % size] : 0);
  return {std::move(y)};
}

}  // namespace

void add_spatial_operators(OperatorTable& table) {
  table["Conv"] = convolution;
  table["AveragePool"] = average_pool;
  table["MaxPool"] = max_pool;
  table["GlobalAveragePool"] = global_average_pool;
  table["Resize"] = resize;
  table["BatchNormalization"] = batch_normalisation;
  table["InstanceNormalization"] = instance_normalisation;
  table["LayerNormalization"] = layer_normalisation;
}

}  // namespace tramontane
