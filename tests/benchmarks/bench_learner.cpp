// Speed of the learner for scripts/bench learner, in JSON lines. Three uses:
//   --describe           prints the network (tests/ml/network_description.hpp) and ends
//   --convolutions       prints what the cores reach in 3 x 3 convolutions alone, and ends
//   otherwise            reads commands from standard input and answers each with a line, until the input ends:
//                        train K, infer K, surrogate K, layers K: K repeats of a training step, of the network on the
//                        samples of a batch, of the surrogate on one sphere, and of a step's two passes by kind of work
// Being asked in turns with another program, on a machine that others use too, both see the same neighbours.
#include <mpi.h>

#include <CLI/CLI.hpp>
#include <Kokkos_Core.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "ml/surrogate.hpp"
#include "ml/trainer.hpp"
#include "tests/benchmarks/measurement.hpp"
#include "tests/benchmarks/timed_backend.hpp"
#include "tests/ml/learner_fixture.hpp"
#include "tests/ml/network_description.hpp"

namespace tramontane {
namespace {

struct Arguments {
  int n = 24, width = 32, levels = 3, batch = 16;
  std::string network = "unet", precision = "f32";
  double seconds = 1;
  bool describe = false, convolutions = false;

  NetworkSpec spec() const { return {network, 9, 4, width, levels, n, 1}; }
};

void print(const nlohmann::ordered_json& line) {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == 0) std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

/// What a core reaches in convolutions alone, forward, data and weights, over the shapes of the networks' layers.
template <class Scalar>
void measure_convolutions(const Arguments& a) {
  double best_pass = 0, best_step = 0;
  for (int images : {6, 48})
    for (int size : {24, 12})
      for (int channels : {16, 32, 64, 128}) {
        const ConvolutionExtents e{images, size, size, 3, channels, channels, channels, channels};
        auto layer = make_backend<Scalar>("onednn")->convolution({e, Activation::linear});
        auto x = testing::noise<Scalar>(e.x_at(images, 0, 0), 1), y = testing::noise<Scalar>(e.y_at(images, 0, 0), 2);
        auto weights = testing::noise<float>(9 * channels * channels, 3), bias = testing::noise<float>(channels, 4);
        auto weights_gradient = weights, bias_gradient = bias;
        layer->set_weights(weights.data(), bias.data());
        const double flops = 2.0 * 9 * channels * channels * images * size * size;
        const int calls = 1 + static_cast<int>(2e8 / flops);  // a millisecond at least
        auto rate = [&](const auto& pass) {
          const Timing t = measure(MPI_COMM_WORLD, a.seconds / 32, [&] {
            for (int k = 0; k < calls; ++k) pass();
          });
          return calls * flops / t.processor.minimum();
        };
        const double forward = rate([&] { layer->forward(x.data(), y.data()); });
        const double data = rate([&] { layer->backward_data(y.data(), x.data()); });
        const double gradient =
            rate([&] { layer->backward_weights(x.data(), y.data(), weights_gradient.data(), bias_gradient.data()); });
        const double step = 3 / (1 / forward + 1 / data + 1 / gradient);
        best_pass = std::max({best_pass, forward, data, gradient});
        best_step = std::max(best_step, step);
        print({{"record", "convolution"},
               {"precision", a.precision},
               {"images", images},
               {"size", size},
               {"channels", channels},
               {"forward", forward},
               {"backward_data", data},
               {"backward_weights", gradient},
               {"three_passes", step}});
      }
  print({{"record", "convolution_peak"},
         {"precision", a.precision},
         {"best_pass", best_pass},
         {"best_three_passes", best_step}});
}

/// The learner at work on a shared batch: every rank takes its part.
class Bench {
 public:
  explicit Bench(const Arguments& a) : a_(a), ranks_(world_size()), statics_(testing::static_fields(a.n)) {
    if (a_.batch % ranks_ != 0) throw InputError("the batch does not divide by the ranks");
    for (int k = 0; k < a_.batch / ranks_; ++k) samples_.push_back(testing::synthetic_sample(k, a_.n));
    batch_ = testing::pointers(samples_, 0, samples_.size());
    TrainerOptions options;
    options.precision = a_.precision;
    trainer_ = std::make_unique<Trainer>(a_.spec(), options, statics_, MPI_COMM_WORLD, "onednn");
    NormaliserStatistics statistics(statics_.area, 5, 4);
    for (const Sample& s : samples_) statistics.add(s);
    trainer_->set_normaliser(statistics.finish(1.5));
    trainer_->step(batch_);
  }

  nlohmann::ordered_json facts() const {
    return {{"record", "ready"},
            {"version", TRAMONTANE_VERSION},
            {"backend", "onednn"},
            {"network", a_.network},
            {"n", a_.n},
            {"width", a_.width},
            {"levels", a_.levels},
            {"batch", a_.batch},
            {"precision", a_.precision},
            {"ranks", ranks_},
            {"parameters", trainer_->parameters()},
            {"flops_per_sample_forward", trainer_->flops_per_sample() / 3}};
  }

  nlohmann::ordered_json train(int repeats) {
    std::map<std::string, double> tasks;
    auto answer = repeat("train", repeats, [&] {
      for (const TaskTime& task : trainer_->step(batch_).tasks) tasks[task.name] += task.seconds / repeats;
    });
    answer["task_seconds"] = tasks;
    return answer;
  }

  /// The network on one sample after the other, all tiles of it.
  nlohmann::ordered_json infer(int repeats) {
    return with_precision([&]<class Scalar>(Scalar) {
      const auto network = make_network(make_backend<Scalar>("onednn"));
      return repeat("infer", repeats, [&] {
        for (std::size_t k = 0; k < samples_.size(); ++k) network->forward();
      });
    });
  }

  /// The surrogate as a solver on one rank calls it: one sphere in single precision, physical units in and out.
  nlohmann::ordered_json surrogate(int repeats) {
    Surrogate surrogate(trainer_->model(), Tiling(a_.n, 1, 1), MPI_COMM_SELF, "onednn");
    auto evaluate = [&] { answer_ = surrogate.evaluate(samples_[0].input, statics_.values); };
    evaluate();
    return repeat("surrogate", repeats, evaluate);
  }

  /// Forward and backward pass of one sample after the other, by kind, in processor time: what is no convolution moves
  /// cells about.
  nlohmann::ordered_json layers(int repeats) {
    return with_precision([&]<class Scalar>(Scalar) { return layers_of<Scalar>(repeats); });
  }

 private:
  template <class Work>
  nlohmann::ordered_json with_precision(const Work& work) const {
    return a_.precision == "bf16" ? work(Bfloat16()) : work(float());
  }

  template <class Scalar>
  std::unique_ptr<Network<Scalar>> make_network(std::shared_ptr<Backend<Scalar>> backend) {
    const Tiling grid(a_.n, 1, 1);
    auto network = std::make_unique<Network<Scalar>>(build_graph(a_.spec()), std::move(backend),
                                                     std::make_shared<LocalHalo<Scalar>>(grid, 1), false);
    parameters_ = trainer_->state().parameters;
    network->set_parameters(parameters_.data());
    testing::fill_input(*network, grid.cell_count(), 1);
    network->forward();
    return network;
  }

  template <class Scalar>
  nlohmann::ordered_json layers_of(int repeats) {
    ConvolutionSeconds seconds;
    auto halo = std::make_shared<LocalHalo<Scalar>>(Tiling(a_.n, 1, 1), 1);
    Network<Scalar> network(build_graph(a_.spec()),
                            std::make_shared<TimedBackend<Scalar>>(make_backend<Scalar>("onednn"), seconds), halo,
                            false);
    NetworkGradient<Scalar> gradient(network, halo);
    parameters_ = trainer_->state().parameters;
    std::vector<float> sum(parameters_.size());
    testing::fill_input(network, network.cells(), 1);
    double forward = 0, backward = 0;
    auto pass = [&] {
      network.set_parameters(parameters_.data());
      for (std::size_t k = 0; k < samples_.size(); ++k) {
        const double began = processor_seconds();
        network.forward();
        std::copy_n(network.output(), network.cells() * network.output_stride(), gradient.output_gradient());
        const double between = processor_seconds();
        gradient.backward(sum.data());
        forward += between - began;
        backward += processor_seconds() - between;
      }
    };
    pass();
    seconds = {};
    forward = backward = 0;
    auto answer = repeat("layers", repeats, pass);
    const double r = repeats;
    answer["kind_seconds"] = {{"weights", seconds.weights / r},
                              {"convolution_forward", seconds.forward / r},
                              {"convolution_backward_data", seconds.backward_data / r},
                              {"convolution_backward_weights", seconds.backward_weights / r},
                              {"gather_forward", (forward - seconds.forward) / r},
                              {"gather_backward", (backward - seconds.backward_data - seconds.backward_weights) / r}};
    return answer;
  }

  static int world_size() {
    int size = 1;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    return size;
  }

  /// Seconds of each repeat by the wall clock, and of the processor summed over ranks.
  template <class Work>
  nlohmann::ordered_json repeat(const char* what, int repeats, const Work& work) {
    std::vector<double> wall, processor;
    for (int k = 0; k < repeats; ++k) {
      MPI_Barrier(MPI_COMM_WORLD);
      const double busy = processor_seconds(), began = MPI_Wtime();
      work();
      double used = processor_seconds() - busy, lasted = MPI_Wtime() - began;
      MPI_Allreduce(MPI_IN_PLACE, &used, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
      MPI_Allreduce(MPI_IN_PLACE, &lasted, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
      wall.push_back(lasted);
      processor.push_back(used);
    }
    return {{"record", what}, {"wall", wall}, {"processor", processor}};
  }

  Arguments a_;
  int ranks_;
  StaticFields statics_;
  std::vector<Sample> samples_;
  std::vector<const Sample*> batch_;
  std::unique_ptr<Trainer> trainer_;
  std::vector<float> parameters_;
  std::vector<float> answer_;
};

/// The next command, on all ranks; "" at the end of the input.
std::string next_command() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  char line[64] = {};
  std::string text;
  if (rank == 0 && std::getline(std::cin, text)) text.copy(line, sizeof line - 1);
  MPI_Request request;
  MPI_Ibcast(line, sizeof line, MPI_CHAR, 0, MPI_COMM_WORLD, &request);
  // A rank that waits inside MPI burns its core, which the other program's turn needs.
  for (int arrived = 0; !arrived;) {
    MPI_Test(&request, &arrived, MPI_STATUS_IGNORE);
    if (!arrived) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return line;
}

void serve(const Arguments& a) {
  Bench bench(a);
  print(bench.facts());
  for (std::string line = next_command(); !line.empty(); line = next_command()) {
    std::istringstream words(line);
    std::string what;
    int repeats = 0;
    words >> what >> repeats;
    if (repeats > 0 && what == "train")
      print(bench.train(repeats));
    else if (repeats > 0 && what == "infer")
      print(bench.infer(repeats));
    else if (repeats > 0 && what == "surrogate")
      print(bench.surrogate(repeats));
    else if (repeats > 0 && what == "layers")
      print(bench.layers(repeats));
    else
      throw InputError("unknown command '" + line + "': train, infer, surrogate or layers, and a number");
  }
}

void bench(const Arguments& a) {
  const bool is_bf16 = a.precision == "bf16";
  if (!is_bf16 && a.precision != "f32") throw InputError("unknown precision '" + a.precision + "': f32 or bf16");
  if (a.describe)
    print(testing::describe_network(a.spec()));
  else if (a.convolutions && is_bf16)
    measure_convolutions<Bfloat16>(a);
  else if (a.convolutions)
    measure_convolutions<float>(a);
  else
    serve(a);
}

}  // namespace
}  // namespace tramontane

int main(int argc, char** argv) {
  tramontane::Arguments a;
  CLI::App app("Speed of the learner");
  app.add_option("--n", a.n, "cells along a panel edge");
  app.add_option("--network", a.network, "as surrogate.network.type");
  app.add_option("--width", a.width, "as surrogate.network.width");
  app.add_option("--levels", a.levels, "as surrogate.network.levels");
  app.add_option("--batch", a.batch, "samples of a training step, over all ranks");
  app.add_option("--precision", a.precision, "f32 or bf16");
  app.add_option("--seconds", a.seconds, "time for each shape of --convolutions");
  app.add_flag("--describe", a.describe, "print the network and end");
  app.add_flag("--convolutions", a.convolutions, "measure convolutions alone and end");
  CLI11_PARSE(app, argc, argv);
  MPI_Init(&argc, &argv);
  int code = 0;
  {
    Kokkos::ScopeGuard kokkos(argc, argv);
    try {
      tramontane::bench(a);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "error: %s\n", e.what());
      code = 2;
    }
  }
  if (code) MPI_Abort(MPI_COMM_WORLD, code);
  MPI_Finalize();
}
