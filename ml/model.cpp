#include "ml/model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ml/counter_random.hpp"
#include "ml/network.hpp"
#include "ml/networks/network_kind.hpp"

namespace tramontane {
namespace {

std::string names_of(const std::vector<Variable>& variables) {
  std::string text;
  for (const Variable& v : variables) text += (text.empty() ? "" : ", ") + v.name + " [" + v.units + "]";
  return text.empty() ? "none" : text;
}

/// Names and units are the contract; descriptions may be reworded.
bool same_variables(const std::vector<Variable>& a, const std::vector<Variable>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Variable& x, const Variable& y) { return x.name == y.name && x.units == y.units; });
}

void require_variables(const char* what, const std::vector<Variable>& have,
                       const std::optional<std::vector<Variable>>& need) {
  if (need && !same_variables(have, *need))
    throw InputError(
        fmt::format("the model's {} are {} but this run has {}: train a model for this run or name another", what,
                    names_of(have), names_of(*need)));
}

int self_test_cells(const NetworkSpec& spec) {
  return network_kind(spec.type).smallest_grid(spec);
}

std::vector<float> evaluate_reference(const Model& model) {
  NetworkSpec spec = model.network;
  spec.n = self_test_cells(spec);
  spec.tiles_per_edge = 1;
  const Tiling grid(spec.n, 1, 1);
  const NetworkGraph graph = build_graph(spec);
  Network<float> network(graph, make_backend<float>("reference"), std::make_shared<LocalHalo<float>>(grid, 1), false);
  const int cells = grid.cell_count();
  const int in_stride = network.input_stride(), out_stride = network.output_stride();
  std::vector<float> input(static_cast<std::size_t>(cells) * in_stride, 0.0f),
      padded(static_cast<std::size_t>(cells) * out_stride);
  for (int cell = 0; cell < cells; ++cell)
    for (int c = 0; c < spec.inputs; ++c) input[cell * in_stride + c] = model.self_test_input[cell * spec.inputs + c];
  network.load_input(input.data());
  network.load_parameters(model.weights.data());
  network.forward();
  network.copy_output(padded.data());
  std::vector<float> output(static_cast<std::size_t>(cells) * spec.outputs);
  for (int cell = 0; cell < cells; ++cell)
    for (int v = 0; v < spec.outputs; ++v) output[cell * spec.outputs + v] = padded[cell * out_stride + v];
  return output;
}

}  // namespace

void Model::require(const ModelExpectation& e) const {
  if (e.kind && *e.kind != kind)
    throw InputError(fmt::format("the model is a surrogate of kind {} but surrogate.kind asks for {}", kind, *e.kind));
  if (e.n && *e.n != network.n)
    throw InputError(
        fmt::format("the model was trained for C{} but this run's coarse grid is C{}: set "
                    "surrogate.coarse_n = {} or name another model",
                    network.n, *e.n, network.n));
  if (e.interval_seconds && std::abs(*e.interval_seconds - interval_seconds) > 1e-6 * interval_seconds)
    throw InputError(
        fmt::format("the model was trained for an interval of {} s but this run couples every {} s: set "
                    "surrogate.interval to {} s or name another model",
                    interval_seconds, *e.interval_seconds, interval_seconds));
  require_variables("inputs", inputs, e.inputs);
  require_variables("targets", targets, e.targets);
  require_variables("static fields", statics, e.statics);
}

void Model::check_consistent() const {
  const NetworkGraph graph = build_graph(network);
  if (weights.size() != graph.parameters())
    throw InputError(
        fmt::format("the model holds {} weights but its architecture has {}: it was not written by this "
                    "program",
                    weights.size(), graph.parameters()));
  if (inputs.size() + statics.size() != static_cast<std::size_t>(network.inputs) ||
      targets.size() != static_cast<std::size_t>(network.outputs) || normaliser.input_mean.size() != inputs.size() ||
      normaliser.input_std.size() != inputs.size() || normaliser.target_std.size() != targets.size() ||
      normaliser.bound.size() != targets.size())
    throw InputError(
        "the model's variables, normaliser and network differ in number: it was not written by this program");
  if (!distribution.empty() && (distribution.n != network.n || !distribution.has_right_sizes()))
    throw InputError(
        "the model's training distribution has the wrong size: it was not written by this version of the program, so "
        "train it again");
  const std::size_t m = self_test_cells(network), cells = kPanels * m * m;
  if (self_test_input.size() != cells * network.inputs || self_test_output.size() != cells * network.outputs)
    throw InputError("the model's self-test has the wrong size: it was not written by this program");
}

void Model::make_self_test() {
  const std::size_t m = self_test_cells(network), cells = kPanels * m * m;
  self_test_input.resize(cells * network.inputs);
  for (std::size_t k = 0; k < self_test_input.size(); ++k)
    self_test_input[k] = static_cast<float>(4 * uniform_at(0, RandomStream::self_test, k) - 2);
  self_test_output = evaluate_reference(*this);
}

void Model::check_self_test() const {
  for (const ParameterBlock& block : build_graph(network).blocks) {
    const auto begin = weights.begin() + static_cast<std::ptrdiff_t>(block.offset);
    if (!std::all_of(begin, begin + static_cast<std::ptrdiff_t>(block.size), [](float v) { return std::isfinite(v); }))
      throw InputError(fmt::format("the model's weights are not finite, first in {}", block.name));
  }
  const std::vector<float> output = evaluate_reference(*this);
  float largest = 0, difference = 0;
  for (std::size_t k = 0; k < output.size(); ++k) {
    largest = std::max(largest, std::abs(self_test_output[k]));
    const float here = std::abs(output[k] - self_test_output[k]);
    difference = std::isfinite(here) ? std::max(difference, here) : INFINITY;
  }
  if (difference > 1e-4f * largest)
    throw InputError(
        fmt::format("the model fails its self-test: its network differs by {:.3g} from the {:.3g} that was "
                    "stored with it, so this build does not compute what was trained",
                    difference, largest));
}

}  // namespace tramontane
