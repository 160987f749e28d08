// Writes one case for the comparison with another framework: a network's description and parameters, a batch, and what
// this project makes of it: outputs, loss, gradients. Usage: ml_parity_case FOLDER BACKEND
//
// Arrays are raw numbers of 4 bytes: parameters and gradient (flat), input (samples, cells, inputs), target and output
// (samples, cells, outputs), cells in the order of tiles; weight (cells) holds areas over their sum.
#include <fmt/format.h>
#include <mpi.h>

#include <Kokkos_Core.hpp>
#include <filesystem>
#include <fstream>

#include "ml/batch.hpp"
#include "tests/ml/learner_fixture.hpp"
#include "tests/ml/network_description.hpp"

namespace tramontane {
namespace {

void write(const std::filesystem::path& path, const std::vector<float>& values) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(float)));
  if (!file) throw RunError("cannot write " + path.string());
}

void write_case(const std::filesystem::path& folder, const std::string& backend) {
  const NetworkSpec spec{"unet", 9, 4, 16, 3, testing::kCells, 1};
  const int samples = 3;
  const Tiling grid(spec.n, spec.tiles_per_edge, 1);
  const std::size_t cells = grid.cell_count();
  const NetworkGraph graph = build_graph(spec);
  auto halo = std::make_shared<LocalHalo<float>>(grid, samples);
  Network<float> network(graph, make_backend<float>(backend), halo, false);
  NetworkGradient<float> backward(network, halo);
  const std::vector<float> parameters = testing::lively_parameters<float>(graph);
  network.set_parameters(parameters.data());

  std::vector<Sample> batch;
  for (int k = 0; k < samples; ++k) batch.push_back(testing::synthetic_sample(k));
  BatchLayout layout(grid, testing::static_fields(), 5, spec.outputs);
  layout.set_normaliser(testing::normaliser_of(batch));
  layout.stage(testing::pointers(batch, 0, batch.size()));
  layout.write_statics(samples, network.input_stride(), network.input());
  std::int64_t not_finite = 0;
  layout.gather(0, samples, network.input_stride(), network.input(), &not_finite);
  if (not_finite) throw RunError("the batch is not finite");
  network.forward();
  const double scale = 1.0 / (samples * spec.outputs);
  const MemoryBuffer<double>& errors = layout.errors(0, samples, 1, network.output_stride(), network.output(), scale,
                                                     samples, backward.output_gradient());
  double loss = 0;
  for (int k = 0; k < samples; ++k) loss += scale * errors.data()[k];
  std::vector<float> gradient(graph.parameters(), 0.0f), input, target, output, weight;
  backward.backward(gradient.data());

  for (std::size_t cell = 0; cell < samples * cells; ++cell) {
    const float* x = network.input() + cell * network.input_stride();
    const float* y = network.output() + cell * network.output_stride();
    input.insert(input.end(), x, x + spec.inputs);
    output.insert(output.end(), y, y + spec.outputs);
  }
  const Normaliser normaliser = testing::normaliser_of(batch);
  for (const Sample& s : batch) {
    std::vector<std::vector<float>> fields;
    for (int v = 0; v < spec.outputs; ++v) {
      const std::vector<float> field(s.target.begin() + v * cells, s.target.begin() + (v + 1) * cells);
      fields.push_back(tiles_from_global(grid, field, 0, grid.tile_count()));
    }
    for (std::size_t cell = 0; cell < cells; ++cell)
      for (int v = 0; v < spec.outputs; ++v)
        target.push_back(static_cast<float>(fields[v][cell] / normaliser.target_std[v]));
  }
  const std::vector<double> areas = tiles_from_global(grid, layout.statics().area, 0, grid.tile_count());
  double total = 0;
  for (double a : areas) total += a;
  for (double a : areas) weight.push_back(static_cast<float>(a / total));

  std::filesystem::create_directories(folder);
  write(folder / "parameters.f32", parameters);
  write(folder / "gradient.f32", gradient);
  write(folder / "input.f32", input);
  write(folder / "target.f32", target);
  write(folder / "output.f32", output);
  write(folder / "weight.f32", weight);
  nlohmann::json description = testing::describe_network(spec);
  description["loss"] = loss;
  description["samples"] = samples;
  std::ofstream(folder / "case.json") << description.dump();
}

}  // namespace
}  // namespace tramontane

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int code = 0;
  {
    Kokkos::ScopeGuard kokkos(argc, argv);
    try {
      if (argc != 3) throw tramontane::InputError("usage: ml_parity_case FOLDER BACKEND");
      tramontane::write_case(argv[1], argv[2]);
    } catch (const std::exception& error) {
      fmt::print(stderr, "error: {}\n", error.what());
      code = 2;
    }
  }
  MPI_Finalize();
  return code;
}
