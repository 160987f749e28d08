/// Libraries for networks on GPUs in this build.
#pragma once

#include <string>
#include <vector>

namespace tramontane {

struct DeviceLibrary {
  std::string name;     ///< "cuDNN" or "NCCL"
  std::string version;  ///< as built and as found, or "no": not in this build
};

std::vector<DeviceLibrary> device_libraries();

}  // namespace tramontane
