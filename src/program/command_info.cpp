#include <dnnl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <hdf5.h>
#include <mpi.h>
#include <petscversion.h>
#include <pnetcdf.h>

#include <Kokkos_Core.hpp>
#include <string>

#include "kernels/device_copy.hpp"
#include "kernels/errors.hpp"
#include "kernels/precision.hpp"
#include "ml/backend.hpp"
#include "ml/device_libraries.hpp"
#include "src/program/commands.hpp"

namespace tramontane {
namespace {

void row(const std::string& name, const std::string& value) {
  fmt::print("  {:<22}{}\n", name, value);
}

std::string mpi_library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string whole(text, length);
  return whole.substr(0, whole.find(','));
}

std::string thread_level() {
  int level = 0;
  MPI_Query_thread(&level);
  switch (level) {
    case MPI_THREAD_MULTIPLE:
      return "multiple";
    case MPI_THREAD_SERIALIZED:
      return "serialized";
    case MPI_THREAD_FUNNELED:
      return "funneled";
    default:
      return "single";
  }
}

std::string cuda() {
#ifdef KOKKOS_ENABLE_CUDA
  return fmt::format("yes, device {}", Kokkos::Cuda().cuda_device());
#else
  return "no";
#endif
}

}  // namespace

int command_info(const CommandContext& context) {
  if (!context.is_root()) return kExitDone;
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  const dnnl_version_t* dnnl = dnnl_version();
  fmt::print("tramontane {}\n", TRAMONTANE_VERSION);
  fmt::print("built with\n");
  row("compiler", fmt::format("{} {}",
#ifdef __clang__
                              "clang", __clang_version__
#else
                              "g++", __VERSION__
#endif
                              ));
#ifdef NDEBUG
  row("assertions", "off");
#else
  row("assertions", "on");
#endif
  row("Kokkos", fmt::format("{}.{}.{}, {}", KOKKOS_VERSION / 10000, KOKKOS_VERSION / 100 % 100, KOKKOS_VERSION % 100,
                            ExecutionSpace::name()));
  row("precision of solver", kPrecision);
  row("CUDA", cuda());
#ifdef H5_HAVE_PARALLEL
  const char* parallel = "parallel";
#else
  const char* parallel = "serial";
#endif
  row("HDF5", fmt::format("{}.{}.{} built, {}.{}.{} found, {}", H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE, major,
                          minor, release, parallel));
  row("PETSc", fmt::format("{}.{}.{}", PETSC_VERSION_MAJOR, PETSC_VERSION_MINOR, PETSC_VERSION_SUBMINOR));
  row("oneDNN", fmt::format("{}.{}.{}", dnnl->major, dnnl->minor, dnnl->patch));
  row("PnetCDF", PNETCDF_VERSION);
  for (const DeviceLibrary& library : device_libraries()) row(library.name, library.version);
  row("network back ends", fmt::format("{}", fmt::join(backend_names(), ", ")));
  fmt::print("running on\n");
  row("MPI", fmt::format("{}, threads {}", mpi_library(), thread_level()));
  row("GPU memory", mpi_and_gpu_memory());
  row("ranks", std::to_string(context.size));
  row("concurrency of a rank", std::to_string(ExecutionSpace().concurrency()));
  return kExitDone;
}

}  // namespace tramontane
