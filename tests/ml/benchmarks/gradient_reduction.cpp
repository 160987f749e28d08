// How much of the gradient reduction hides behind the backward pass: mpirun -n 2 benchmark_gradient_reduction [width].
// One line a bucket size; a bucket that holds everything cannot start before the backward pass has ended.
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "tests/ml/learner_fixture.hpp"

namespace tramontane {
namespace {

constexpr int kGrid = 24, kShare = 4, kSteps = 30;

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

void measure(int width) {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  std::vector<Sample> samples;
  for (int k = 0; k < kShare; ++k) samples.push_back(testing::synthetic_sample(kShare * rank + k, kGrid));
  NormaliserStatistics statistics(testing::static_fields(kGrid).area, 5, 4);
  for (const Sample& s : samples) statistics.add(s);
  statistics.reduce(MPI_COMM_WORLD, 300);
  const std::vector<std::size_t> sizes = {64 * 1024, 256 * 1024, 1024 * 1024, std::size_t{1} << 40};
  std::vector<std::unique_ptr<Trainer>> trainers;
  for (const std::size_t bytes : sizes) {
    TrainerOptions options;
    options.bucket_bytes = bytes;
    trainers.push_back(std::make_unique<Trainer>(NetworkSpec{"unet", 9, 4, width, 3, kGrid, 1}, options,
                                                 testing::static_fields(kGrid), MPI_COMM_WORLD, "onednn"));
    trainers.back()->set_normaliser(statistics.finish(1.5));
  }
  const auto list = testing::pointers(samples, 0, kShare);
  std::vector<std::vector<double>> step(sizes.size()), reduce(sizes.size()), backward(sizes.size());
  for (int k = 0; k <= kSteps; ++k)
    for (std::size_t s = 0; s < sizes.size(); ++s) {  // interleaved: what else the machine does meets all alike
      MPI_Barrier(MPI_COMM_WORLD);
      const StepReport report = trainers[s]->step(list);
      if (k == 0) continue;  // makes primitives
      step[s].push_back(1e3 * report.seconds);
      for (const TaskTime& task : report.tasks) {
        if (task.name == "reduce") reduce[s].push_back(1e3 * task.seconds);
        if (task.name == "backward") backward[s].push_back(1e3 * task.seconds);
      }
    }
  if (rank != 0) return;
  std::printf("width %d, %zu parameters, %d samples a rank; ms, lower quartile (median) of %d steps\n", width,
              trainers[0]->parameters(), kShare, kSteps);
  for (std::size_t s = 0; s < sizes.size(); ++s)
    std::printf("bucket %8zu kB: step %.2f (%.2f), backward %.2f (%.2f), waiting for the reduction %.3f (%.3f)\n",
                sizes[s] / 1024, quantile(step[s], 0.25), quantile(step[s], 0.5), quantile(backward[s], 0.25),
                quantile(backward[s], 0.5), quantile(reduce[s], 0.25), quantile(reduce[s], 0.5));
}

}  // namespace
}  // namespace tramontane

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  {
    Kokkos::ScopeGuard kokkos(argc, argv);
    tramontane::measure(argc > 1 ? std::atoi(argv[1]) : 32);
  }
  MPI_Finalize();
}
