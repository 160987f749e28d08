/// Views and loop helpers that every part shares.
#pragma once

#include <Kokkos_Core.hpp>
#include <cstddef>

namespace tramontane {

/// Type of states, tendencies and tables of the solver; geometry is computed in double and rounded once.
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
#if defined(__GNUC__) && !defined(KOKKOS_ENABLE_CUDA) && !defined(KOKKOS_ENABLE_HIP)
#define TRAMONTANE_INLINE_BODY __attribute__((always_inline))
#else
#define TRAMONTANE_INLINE_BODY
#endif

/// One contiguous row of a kernel: on the host a loop that the compiler vectorises, on a device the lanes of a team.
/// The body must treat its iterations as independent. Through View accessors the host loop stays scalar, so callers
/// take restrict row pointers outside and index those (measured: about six times faster, docs/design/solver.md).
template <class Team, class Body>
KOKKOS_FORCEINLINE_FUNCTION void simd_for(const Team& team, int begin, int end, const Body& body) {
#if defined(KOKKOS_ENABLE_CUDA) || defined(KOKKOS_ENABLE_HIP)
  Kokkos::parallel_for(Kokkos::TeamVectorRange(team, begin, end), body);
#else
  (void)team;
#pragma omp simd
  for (int i = begin; i < end; ++i) body(i);
#endif
}

}  // namespace tramontane
