// cuDNN's convolutions against the reference back end, for every type of arithmetic. Needs a GPU.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "kernels/errors.hpp"
#include "ml/backends/cudnn.hpp"
#include "tests/ml/network_fixture.hpp"

namespace tramontane {
namespace {

namespace fs = std::filesystem;
using testing::noise;
using testing::relative_difference;

struct Result {
  std::vector<float> y, dx, dw, db;
};

template <class Scalar>
std::vector<Scalar> stored(const std::vector<float>& values) {
  std::vector<Scalar> out;
  for (float v : values) out.push_back(static_cast<Scalar>(v));
  return out;
}

template <class T>
MemoryBuffer<T> in_memory(Memory memory, const std::vector<T>& values) {
  MemoryBuffer<T> buffer("test", values.size(), memory);
  buffer.copy_from_host(values.data(), values.size());
  return buffer;
}

template <class T>
std::vector<float> on_host(const MemoryBuffer<T>& buffer) {
  std::vector<T> values(buffer.size());
  buffer.copy_to_host(values.data(), values.size());
  return {values.begin(), values.end()};
}

/// The numbers of a layer, rounded to what the type can hold: so that both sides start from the same ones.
struct Problem {
  ConvolutionShape shape;
  std::vector<float> x, dy, weights, bias;

  template <class Scalar>
  static Problem make(const ConvolutionShape& shape) {
    const ConvolutionExtents& e = shape.extents;
    Problem p{shape, noise<float>(e.x_at(e.images, 0, 0), 1), noise<float>(e.y_at(e.images, 0, 0), 2),
              noise<float>(e.weights(), 3), noise<float>(e.out_channels, 4)};
    // Some values beyond the cap of 10.
    for (float& w : p.weights) w *= 4.0f / static_cast<float>(e.kernel);
    for (std::size_t k = 0; k < p.x.size(); ++k)
      if (static_cast<int>(k % e.in_stride) >= e.in_channels) p.x[k] = 0;
    for (std::size_t k = 0; k < p.dy.size(); ++k)
      if (static_cast<int>(k % e.out_stride) >= e.out_channels) p.dy[k] = 0;
    for (auto* values : {&p.x, &p.dy, &p.weights})
      for (float& v : *values) v = static_cast<float>(static_cast<Scalar>(v));
    return p;
  }
};

template <class Scalar>
Result compute(Backend<Scalar>& backend, const Problem& p) {
  const ConvolutionExtents& e = p.shape.extents;
  const Memory memory = backend.memory();
  auto layer = backend.convolution(p.shape);
  const auto x = in_memory(memory, stored<Scalar>(p.x)), dy = in_memory(memory, stored<Scalar>(p.dy));
  const auto weights = in_memory(memory, p.weights), bias = in_memory(memory, p.bias);
  const auto other = in_memory(memory, noise<float>(e.weights(), 9));
  const auto y = in_memory(memory, stored<Scalar>(std::vector<float>(p.dy.size(), -1.0f)));
  const auto dx = in_memory(memory, stored<Scalar>(std::vector<float>(p.x.size(), -1.0f)));
  const auto dw = in_memory(memory, std::vector<float>(e.weights(), 0.5f));  // gradients are added to what is there
  const auto db = in_memory(memory, std::vector<float>(e.out_channels, 0.5f));
  // Twice: the second call must see the second weights.
  for (const auto& w : {other, weights}) {
    layer->set_weights(w.data(), bias.data());
    layer->forward(x.data(), y.data());
    layer->backward_data(dy.data(), dx.data());
  }
  layer->backward_weights(x.data(), dy.data(), dw.data(), db.data());
  return {on_host(y), on_host(dx), on_host(dw), on_host(db)};
}

std::vector<ConvolutionShape> shapes() {
  std::vector<ConvolutionShape> list;
  for (const Activation activation : {Activation::capped_leaky_relu, Activation::linear})
    for (const int dilation : {1, 2, 4}) {
      list.push_back({{6, 24, 24, 3, 9, 32, 16, 32, dilation}, activation});  // input layer, channels padded
      list.push_back({{12, 12, 12, 3, 64, 64, 64, 64, dilation}, activation});
      list.push_back({{6, 6, 7, 3, 96, 32, 96, 32, dilation}, activation});
      list.push_back({{2, 8, 8, 3, 8, 24, 8, 24, dilation}, activation});
    }
  list.push_back({{6, 24, 24, 1, 32, 4, 32, 16}, Activation::linear});  // output layer, channels padded
  list.push_back({{6, 24, 24, 1, 16, 48, 16, 48}, Activation::capped_leaky_relu});
  return list;
}

template <class Scalar>
void check_all(const CudnnOptions& options, double tolerance) {
  auto cudnn = make_cudnn_backend<Scalar>(options);
  auto reference = make_reference_backend<float>(Memory::host);
  for (const ConvolutionShape& shape : shapes()) {
    const ConvolutionExtents& e = shape.extents;
    SCOPED_TRACE(::testing::Message() << e.in_channels << " to " << e.out_channels << ", kernel " << e.kernel
                                      << ", dilation " << e.dilation);
    const Problem problem = Problem::make<Scalar>(shape);
    const Result got = compute(*cudnn, problem), wanted = compute(*reference, problem);
    EXPECT_LT(relative_difference(got.y, wanted.y), tolerance);
    EXPECT_LT(relative_difference(got.dx, wanted.dx), tolerance);
    EXPECT_LT(relative_difference(got.dw, wanted.dw), tolerance);
    EXPECT_LT(relative_difference(got.db, wanted.db), 1e-5);
    int not_zero = 0;
    for (std::size_t k = 0; k < got.y.size(); ++k)
      not_zero += static_cast<int>(k % e.out_stride) >= e.out_channels && got.y[k] != 0.0f;
    EXPECT_EQ(not_zero, 0) << "padding channels";
    // The same bits again, from the same back end: only reproducible engines are used.
    const Result again = compute(*cudnn, problem);
    EXPECT_EQ(again.y, got.y);
    EXPECT_EQ(again.dx, got.dx);
    EXPECT_EQ(again.dw, got.dw);
  }
}

// Sums of at most 9 x 96 products in single precision, in another order: a relative 1e-5 of the largest value.
TEST(Cudnn, MatchesReferenceInFloat) {
  check_all<float>({}, 1e-5);
}

// Both factors of a product lose at most 2^-11 of their value, and the errors of a sum are below the largest sum's.
TEST(Cudnn, MatchesReferenceInTf32) {
  CudnnOptions options;
  options.tf32 = true;
  check_all<float>(options, 2e-3);
}

// The inputs are the same numbers; results are rounded to eight bits, 2^-9 = 0.002 of their value.
TEST(Cudnn, MatchesReferenceInBf16) {
  check_all<Bfloat16>({}, 4e-3);
}

TEST(Cudnn, EnginesOfAnEarlierRunAreUsedAgain) {
  const fs::path file = fs::temp_directory_path() / ("tramontane-cudnn-" + std::to_string(::getpid()) + ".txt");
  const auto text = [&] {
    std::ifstream stream(file);
    std::ostringstream all;
    all << stream.rdbuf();
    return all.str();
  };
  CudnnOptions options;
  options.cache_file = file.string();
  const Problem problem = Problem::make<float>(shapes().front());
  const Result first = compute(*make_cudnn_backend<float>(options), problem);
  const std::string written = text();
  EXPECT_NE(written.find("forward activated"), std::string::npos);
  EXPECT_NE(written.find("backward_data"), std::string::npos);
  EXPECT_NE(written.find("backward_weights"), std::string::npos);
  const Result second = compute(*make_cudnn_backend<float>(options), problem);
  EXPECT_EQ(text(), written) << "something was measured again";
  EXPECT_EQ(second.y, first.y);
  EXPECT_EQ(second.dx, first.dx);
  EXPECT_EQ(second.dw, first.dw);
  // Engines that cuDNN does not know: the heuristics are asked instead.
  std::ofstream(file) << "nonsense\n";
  EXPECT_LT(relative_difference(compute(*make_cudnn_backend<float>(options), problem).y, first.y), 1e-5);
  fs::remove(file);
}

TEST(Cudnn, ImpossibleShapesAreRefusedInOneSentence) {
  auto backend = make_cudnn_backend<Bfloat16>({});
  const ConvolutionShape huge{{40000, 64, 64, 3, 64, 64, 64, 64}, Activation::linear};
  try {
    backend->convolution(huge);
    FAIL() << "2^31 elements were accepted";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("micro_batch"), std::string::npos);
  }
}

}  // namespace
}  // namespace tramontane
