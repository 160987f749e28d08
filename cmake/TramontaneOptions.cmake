# Compiler options shared by every target of the project, carried by one interface target.
add_library(tramontane_options INTERFACE)
target_include_directories(tramontane_options INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_definitions(tramontane_options INTERFACE TRAMONTANE_VERSION="${PROJECT_VERSION}"
                                                       OMPI_SKIP_MPICXX)  # Open MPI's retired C++ bindings

# -fno-math-errno and -fno-trapping-math let square roots and upwind selects vectorise; neither changes
# a result. Reassociation stays off: results must not depend on how a loop was unrolled.
target_compile_options(tramontane_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall>
  $<$<COMPILE_LANGUAGE:CXX>:-Wextra>
  $<$<COMPILE_LANGUAGE:CXX>:-Wno-unknown-pragmas>
  $<$<COMPILE_LANGUAGE:CXX>:-fno-math-errno>
  $<$<COMPILE_LANGUAGE:CXX>:-fno-trapping-math>)
if(TRAMONTANE_ENABLE_CUDA)
  # fmt 9 turns constexpr off under nvcc but not the C++20 parts that need it.
  target_compile_definitions(tramontane_options INTERFACE FMT_USE_CONSTEXPR=1)
else()
  target_compile_options(tramontane_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fopenmp-simd>)
endif()
if(TRAMONTANE_SINGLE_PRECISION)
  target_compile_definitions(tramontane_options INTERFACE TRAMONTANE_SINGLE)  # kernels/types.hpp: Real is float
endif()
if(TRAMONTANE_DEVICE_LAYOUT)
  target_compile_definitions(tramontane_options INTERFACE TRAMONTANE_DEVICE_LAYOUT)
endif()
if(TRAMONTANE_NATIVE AND NOT TRAMONTANE_ENABLE_CUDA)
  include(CheckCXXCompilerFlag)
  foreach(flag -march=native -mprefer-vector-width=512)  # the second is x86's alone
    string(MAKE_C_IDENTIFIER "TRAMONTANE_HAS${flag}" known)
    check_cxx_compiler_flag(${flag} ${known})
    if(${known})
      target_compile_options(tramontane_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${flag}>)
    endif()
  endforeach()
endif()
if(TRAMONTANE_SANITIZE)
  target_compile_options(tramontane_options INTERFACE -fsanitize=${TRAMONTANE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(tramontane_options INTERFACE -fsanitize=${TRAMONTANE_SANITIZE})
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  # Bounds checks on every View access (our own headers and the standard library's containers).
  target_compile_definitions(tramontane_options INTERFACE KOKKOS_ENABLE_DEBUG_BOUNDS_CHECK _GLIBCXX_ASSERTIONS)
endif()
