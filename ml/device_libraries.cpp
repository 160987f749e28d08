#include "ml/device_libraries.hpp"

#if defined(TRAMONTANE_HAS_CUDNN)
#include "ml/backends/cudnn.hpp"
#endif
#if defined(TRAMONTANE_HAS_NCCL)
#include "ml/nccl_reduction.hpp"
#endif

namespace tramontane {

std::vector<DeviceLibrary> device_libraries() {
  return {
#if defined(TRAMONTANE_HAS_CUDNN)
    {"cuDNN", cudnn_version_text()},
#else
    {"cuDNN", "no"},
#endif
#if defined(TRAMONTANE_HAS_NCCL)
        {"NCCL", nccl_version_text()},
#else
        {"NCCL", "no"},
#endif
  };
}

}  // namespace tramontane
