/// Views and loop helpers that every part shares.
#pragma once

#include <Kokkos_Core.hpp>
#include <cstddef>

namespace tramontane {

/// Whether kernels are laid out for a device: a team a row, one number a thread, one region for everything. The build
/// option TRAMONTANE_DEVICE_LAYOUT asks for that on the host too, to test it where no device is at hand.
#if (defined(KOKKOS_ENABLE_CUDA) || defined(KOKKOS_ENABLE_HIP)) && !defined(TRAMONTANE_DEVICE_LAYOUT)
#define TRAMONTANE_DEVICE_LAYOUT
#endif

/// Type of states, tendencies and tables of the solver (kernels/precision.hpp); geometry is in double, rounded once.
#if defined(TRAMONTANE_SINGLE)
using Real = float;
#else
using Real = double;
#endif

using ExecutionSpace = Kokkos::DefaultExecutionSpace;
using MemorySpace = ExecutionSpace::memory_space;
using HostSpace = Kokkos::HostSpace;

/// Array on the device of the build, last index contiguous on every back end, so that one index order serves host,
/// device, HDF5 and MPI alike. Write View<double***>.
template <class T>
using View = Kokkos::View<T, Kokkos::LayoutRight, MemorySpace>;
/// The same array in host memory.
template <class T>
using HostView = Kokkos::View<T, Kokkos::LayoutRight, HostSpace>;

/// Stands after the parameters of a large body for simd_for: one that is not inlined would leave the loop scalar.
#if defined(__GNUC__) && !defined(TRAMONTANE_DEVICE_LAYOUT)
#define TRAMONTANE_INLINE_BODY __attribute__((always_inline))
#else
#define TRAMONTANE_INLINE_BODY
#endif

}  // namespace tramontane
