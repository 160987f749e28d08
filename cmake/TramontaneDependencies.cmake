# Every outside library the project links, each as one imported target. docs/user/dependencies.md says how a
# site with modules or Spack provides them.
find_package(PkgConfig REQUIRED)
find_package(MPI REQUIRED COMPONENTS C CXX)

# Kokkos first: the site's own when CMAKE_PREFIX_PATH names one, else the distribution's package.
find_package(Kokkos REQUIRED)
add_library(tramontane_kokkos INTERFACE)
target_link_libraries(tramontane_kokkos INTERFACE Kokkos::kokkos)
if(Kokkos_INCLUDE_DIRS MATCHES "trilinos")
  # Debian's package (built inside Trilinos) names an include folder that does not hold its headers; they are in
  # <prefix>/include/trilinos.
  find_path(TRAMONTANE_KOKKOS_INCLUDE Kokkos_Core.hpp PATHS ${Kokkos_INCLUDE_DIRS} PATH_SUFFIXES trilinos REQUIRED)
  set_target_properties(Kokkos::kokkos PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${TRAMONTANE_KOKKOS_INCLUDE}")
else()
  # PETSc's package drags in a Kokkos of its own: a static one of ours must not lend it symbols.
  target_link_options(tramontane_kokkos INTERFACE -Wl,--exclude-libs,ALL)
endif()

# Parallel HDF5 with its high-level library (dimension scales). FindHDF5 needs the language C.
set(HDF5_PREFER_PARALLEL ON)
find_package(HDF5 REQUIRED COMPONENTS C HL)
if(NOT HDF5_IS_PARALLEL)
  message(FATAL_ERROR "HDF5 was found without MPI: install libhdf5-openmpi-dev or load a parallel HDF5 module.")
endif()
add_library(tramontane_hdf5 INTERFACE)
target_include_directories(tramontane_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_link_libraries(tramontane_hdf5 INTERFACE ${HDF5_C_HL_LIBRARIES} ${HDF5_C_LIBRARIES} MPI::MPI_C)

# xxHash is used from its header alone.
find_path(TRAMONTANE_XXHASH_INCLUDE xxhash.h REQUIRED)
include_directories(SYSTEM "${TRAMONTANE_XXHASH_INCLUDE}")

pkg_check_modules(PETSC REQUIRED IMPORTED_TARGET PETSc)
find_library(TRAMONTANE_PNETCDF_LIBRARY pnetcdf REQUIRED)
find_path(TRAMONTANE_PNETCDF_INCLUDE pnetcdf.h REQUIRED)
add_library(tramontane_pnetcdf INTERFACE)
target_include_directories(tramontane_pnetcdf SYSTEM INTERFACE "${TRAMONTANE_PNETCDF_INCLUDE}")
target_link_libraries(tramontane_pnetcdf INTERFACE "${TRAMONTANE_PNETCDF_LIBRARY}" MPI::MPI_C)

find_package(dnnl REQUIRED)
find_package(Protobuf REQUIRED)  # ONNX' own targets name it
find_package(ONNX REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)

if(TRAMONTANE_ENABLE_TESTS)
  find_package(GTest REQUIRED)
endif()
if(TRAMONTANE_ENABLE_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()
