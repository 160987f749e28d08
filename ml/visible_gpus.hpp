/// The GPUs that this process sees.
#pragma once

#include <string>
#include <vector>

namespace tramontane {

/// PCI addresses by the process's own numbering; empty in a build without CUDA and on a machine without GPUs. May be
/// called before Kokkos is started, and starts no GPU up.
std::vector<std::string> visible_gpus();

/// Model and memory of one of them, by its number among those; empty where there is none.
std::string gpu_model(int device);

}  // namespace tramontane
