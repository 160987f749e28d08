#include "ml/visible_gpus.hpp"

#include <Kokkos_Macros.hpp>
#ifdef KOKKOS_ENABLE_CUDA
#include <cuda_runtime.h>

#include <array>
#endif

namespace tramontane {

std::vector<std::string> visible_gpus() {
  std::vector<std::string> names;
#ifdef KOKKOS_ENABLE_CUDA
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
  for (int device = 0; device < count; ++device) {
    std::array<char, 32> address{};
    if (cudaDeviceGetPCIBusId(address.data(), static_cast<int>(address.size()), device) != cudaSuccess) return {};
    names.emplace_back(address.data());
  }
#endif
  return names;
}

std::string gpu_model([[maybe_unused]] int device) {
#ifdef KOKKOS_ENABLE_CUDA
  cudaDeviceProp properties;
  if (device >= 0 && cudaGetDeviceProperties(&properties, device) == cudaSuccess)
    return std::string(properties.name) + ", " + std::to_string(properties.totalGlobalMem >> 30) + " GiB";
#endif
  return "";
}

}  // namespace tramontane
