# What the CUDA build links beside Kokkos: cuDNN 9 with the headers of its frontend, and NCCL.
if(NOT TRAMONTANE_ENABLE_CUDA)
  return()
endif()
option(TRAMONTANE_ENABLE_CUDNN "Networks on the GPU through cuDNN" ON)
option(TRAMONTANE_ENABLE_NCCL "Gradients from GPU to GPU through NCCL" ON)
find_package(CUDAToolkit REQUIRED)

# The version in a header of #defines: tramontane_header_version(<variable> <file> <major> <minor> <patch>)
function(tramontane_header_version variable file)
  set(version)
  foreach(part ${ARGN})
    file(STRINGS "${file}" line REGEX "^#define ${part} +[0-9]+" LIMIT_COUNT 1)
    string(REGEX REPLACE "^#define ${part} +([0-9]+).*" "\\1" number "${line}")
    list(APPEND version "${number}")
  endforeach()
  list(JOIN version "." version)
  set(${variable} "${version}" PARENT_SCOPE)
endfunction()

if(TRAMONTANE_ENABLE_CUDNN)
  find_path(TRAMONTANE_CUDNN_INCLUDE cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ENV CUDNN_ROOT PATH_SUFFIXES include)
  find_library(TRAMONTANE_CUDNN_LIBRARY cudnn HINTS ${CUDAToolkit_LIBRARY_DIR} ENV CUDNN_ROOT PATH_SUFFIXES lib lib64)
  find_path(TRAMONTANE_CUDNN_FRONTEND_INCLUDE cudnn_frontend.h
            HINTS ENV CUDNN_FRONTEND_ROOT PATH_SUFFIXES include)
  if(NOT TRAMONTANE_CUDNN_INCLUDE OR NOT TRAMONTANE_CUDNN_LIBRARY)
    message(FATAL_ERROR "cuDNN was not found: set CUDNN_ROOT to its folder, or build without it by "
                        "-DTRAMONTANE_ENABLE_CUDNN=OFF.")
  endif()
  tramontane_header_version(TRAMONTANE_CUDNN_VERSION "${TRAMONTANE_CUDNN_INCLUDE}/cudnn_version.h"
                            CUDNN_MAJOR CUDNN_MINOR CUDNN_PATCHLEVEL)
  if(TRAMONTANE_CUDNN_VERSION VERSION_LESS 9)
    message(FATAL_ERROR "cuDNN ${TRAMONTANE_CUDNN_VERSION} was found and 9 or newer is needed: set CUDNN_ROOT to another "
                        "one, or build without it by -DTRAMONTANE_ENABLE_CUDNN=OFF.")
  endif()
  if(NOT TRAMONTANE_CUDNN_FRONTEND_INCLUDE)
    message(FATAL_ERROR "cuDNN's frontend (cudnn_frontend.h) was not found. It is headers alone: `pip install "
                        "nvidia-cudnn-frontend` puts them into site-packages/include of that Python. Set "
                        "TRAMONTANE_CUDNN_FRONTEND_INCLUDE to that folder, or build without cuDNN by "
                        "-DTRAMONTANE_ENABLE_CUDNN=OFF.")
  endif()
  tramontane_header_version(TRAMONTANE_CUDNN_FRONTEND_VERSION
                            "${TRAMONTANE_CUDNN_FRONTEND_INCLUDE}/cudnn_frontend_version.h"
                            CUDNN_FRONTEND_MAJOR_VERSION CUDNN_FRONTEND_MINOR_VERSION CUDNN_FRONTEND_PATCH_VERSION)
  set(graph "${TRAMONTANE_CUDNN_FRONTEND_INCLUDE}/cudnn_frontend/graph_interface.h")
  set(replay)
  if(EXISTS "${graph}")
    file(STRINGS "${graph}" replay REGEX "get_engine_and_knobs_at_index" LIMIT_COUNT 1)
  endif()
  if(NOT replay)
    message(FATAL_ERROR "cuDNN's frontend ${TRAMONTANE_CUDNN_FRONTEND_VERSION} cannot name the engine of a plan: take a "
                        "newer one (1.32.0 can).")
  endif()
  message(STATUS "cuDNN ${TRAMONTANE_CUDNN_VERSION} with frontend ${TRAMONTANE_CUDNN_FRONTEND_VERSION}")
  add_library(tramontane_cudnn INTERFACE)
  target_include_directories(tramontane_cudnn SYSTEM INTERFACE "${TRAMONTANE_CUDNN_INCLUDE}"
                                                               "${TRAMONTANE_CUDNN_FRONTEND_INCLUDE}")
  # The frontend's headers compile engines of their own at run time, which nobody here asks for, but they must link.
  target_link_libraries(tramontane_cudnn INTERFACE "${TRAMONTANE_CUDNN_LIBRARY}" CUDA::cudart CUDA::nvrtc)
endif()

if(TRAMONTANE_ENABLE_NCCL)
  find_path(TRAMONTANE_NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ENV NCCL_ROOT PATH_SUFFIXES include)
  find_library(TRAMONTANE_NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR} ENV NCCL_ROOT PATH_SUFFIXES lib lib64)
  if(NOT TRAMONTANE_NCCL_INCLUDE OR NOT TRAMONTANE_NCCL_LIBRARY)
    message(FATAL_ERROR "NCCL was not found: set NCCL_ROOT to its folder, or build without it (gradients then go "
                        "through MPI) by -DTRAMONTANE_ENABLE_NCCL=OFF.")
  endif()
  tramontane_header_version(TRAMONTANE_NCCL_VERSION "${TRAMONTANE_NCCL_INCLUDE}/nccl.h"
                            NCCL_MAJOR NCCL_MINOR NCCL_PATCH)
  # Non-blocking communicators came with 2.14, ncclCommGetAsyncError as used here with 2.18.
  if(TRAMONTANE_NCCL_VERSION VERSION_LESS 2.18)
    message(FATAL_ERROR "NCCL ${TRAMONTANE_NCCL_VERSION} was found and 2.18 or newer is needed: set NCCL_ROOT to another "
                        "one, or build without it by -DTRAMONTANE_ENABLE_NCCL=OFF.")
  endif()
  message(STATUS "NCCL ${TRAMONTANE_NCCL_VERSION}")
  add_library(tramontane_nccl INTERFACE)
  target_include_directories(tramontane_nccl SYSTEM INTERFACE "${TRAMONTANE_NCCL_INCLUDE}")
  target_link_libraries(tramontane_nccl INTERFACE "${TRAMONTANE_NCCL_LIBRARY}" CUDA::cudart)
endif()
