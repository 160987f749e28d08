#include "ml/layers/layer_kind.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kernels/errors.hpp"

namespace tramontane {

// One line a kind; each is defined in the file of its name.
const LayerKind& addition_layer();
const LayerKind& convolution_layer();
const LayerKind& normalisation_layer();

namespace {

const std::vector<const LayerKind*>& kinds() {
  static const std::vector<const LayerKind*> all = {&addition_layer(), &convolution_layer(), &normalisation_layer()};
  return all;
}

}  // namespace

const LayerKind& layer_kind(const std::string& name) {
  for (const LayerKind* kind : kinds())
    if (kind->name() == name) return *kind;
  throw InputError(fmt::format("unknown layer '{}': choose one of {}", name, fmt::join(layer_names(), ", ")));
}

std::vector<std::string> layer_names() {
  std::vector<std::string> names;
  for (const LayerKind* kind : kinds()) names.push_back(kind->name());
  return names;
}

}  // namespace tramontane
