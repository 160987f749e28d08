/// The GPUs that this process sees.
#pragma once

#include <string>
#include <vector>

namespace tramontane {

/// PCI addresses by the process's own numbering; empty in a build without CUDA and on a machine without GPUs. May be
/// called before Kokkos is started, and starts no GPU up.
std::vector<std::string> visible_gpus();

}  // namespace tramontane
