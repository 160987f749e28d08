// Throughput of a training step: C24, three levels, batch 16. Arguments: width, samples per pass.
#include <benchmark/benchmark.h>
#include <mpi.h>

#include "ml/surrogate.hpp"
#include "tests/ml/learner_fixture.hpp"

namespace tramontane {
namespace {

constexpr int kGrid = 24;

/// Best of many short runs by the wall clock: what the core does when nobody else is on it. For rates read the
/// maximum, for times the minimum.
void best_of(benchmark::internal::Benchmark* b) {
  b->Unit(benchmark::kMillisecond)
      ->UseRealTime()
      ->Repetitions(40)
      ->ReportAggregatesOnly()
      ->ComputeStatistics("min", [](const std::vector<double>& v) { return *std::min_element(v.begin(), v.end()); })
      ->ComputeStatistics("max", [](const std::vector<double>& v) { return *std::max_element(v.begin(), v.end()); });
}

void train_step(benchmark::State& state, const char* backend) {
  const int batch = 16;
  TrainerOptions options;
  options.micro_batch = static_cast<int>(state.range(1));
  Trainer trainer({"unet", 9, 4, static_cast<int>(state.range(0)), 3, kGrid, 1}, options, testing::static_fields(kGrid),
                  MPI_COMM_SELF, backend);
  std::vector<Sample> samples;
  for (int k = 0; k < batch; ++k) samples.push_back(testing::synthetic_sample(k, kGrid));
  NormaliserStatistics statistics(testing::static_fields(kGrid).area, 5, 4);
  for (const Sample& s : samples) statistics.add(s);
  trainer.set_normaliser(statistics.finish(1.5));
  const auto list = testing::pointers(samples, 0, batch);
  trainer.step(list);
  std::map<std::string, double> seconds;
  for (auto _ : state)
    for (const TaskTime& task : trainer.step(list).tasks) seconds[task.name] += task.seconds;
  using benchmark::Counter;
  state.counters["samples"] = Counter(batch, Counter::kIsIterationInvariantRate);
  state.counters["GFLOP/s"] = Counter(1e-9 * batch * trainer.flops_per_sample(), Counter::kIsIterationInvariantRate);
  for (const auto& [name, total] : seconds)
    state.counters["ms " + name] = 1e3 * total / static_cast<double>(state.iterations());
}
BENCHMARK_CAPTURE(train_step, onednn, "onednn")
    ->ArgNames({"width", "pass"})
    ->ArgsProduct({{16, 32}, {1, 2, 4, 16}})
    ->Apply(best_of);
BENCHMARK_CAPTURE(train_step, reference, "reference")->Args({16, 1})->Iterations(1)->Unit(benchmark::kMillisecond);

// What the step is held against: 3 x 3 convolutions alone, forward and both backward passes, 48 panels of 26 x 26.
void convolution_passes(benchmark::State& state) {
  const int channels = static_cast<int>(state.range(0));
  const ConvolutionExtents e{48, kGrid, kGrid, 3, channels, channels, channels, channels};
  auto layer = make_backend<float>("onednn")->convolution({e, Activation::linear});
  auto x = testing::noise<float>(e.x_at(e.images, 0, 0), 1), y = testing::noise<float>(e.y_at(e.images, 0, 0), 2);
  auto weights = testing::noise<float>(9 * channels * channels, 3), bias = testing::noise<float>(channels, 4);
  layer->set_weights(weights.data(), bias.data());
  for (auto _ : state) {
    layer->forward(x.data(), y.data());
    layer->backward_data(y.data(), x.data());
    layer->backward_weights(x.data(), y.data(), weights.data(), bias.data());
  }
  state.counters["GFLOP/s"] = benchmark::Counter(3e-9 * 2 * 9 * channels * channels * e.images * kGrid * kGrid,
                                                 benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(convolution_passes)->RangeMultiplier(2)->Range(16, 128)->Apply(best_of);

void inference(benchmark::State& state) {
  Model model = testing::lively_model(3);
  model.network.width = static_cast<int>(state.range(0));
  model.network.n = kGrid;
  model.weights = testing::lively_parameters<float>(build_graph(model.network));
  const Tiling grid(kGrid, static_cast<int>(state.range(1)), 1);
  Surrogate surrogate(model, grid, MPI_COMM_SELF);
  const SampleValues input = testing::synthetic_sample(1, kGrid).input;
  const std::vector<float> statics = testing::static_fields(kGrid).values;
  for (auto _ : state) benchmark::DoNotOptimize(surrogate.evaluate(input, statics));
  state.counters["GFLOP/s"] =
      benchmark::Counter(1e-9 * surrogate.flops(), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(inference)->ArgNames({"width", "tiles"})->ArgsProduct({{16, 32}, {1, 2}})->Apply(best_of);

}  // namespace
}  // namespace tramontane

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  {
    Kokkos::ScopeGuard kokkos(argc, argv);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
  }
  MPI_Finalize();
}
