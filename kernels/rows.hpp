/// Kernels over rows: a plain range with vectorised loops on the host, one team a row on a device.
#pragma once

#include <string>

#include "kernels/packs.hpp"

namespace tramontane {

#if defined(KOKKOS_ENABLE_CUDA) || defined(KOKKOS_ENABLE_HIP)

using RowMember = Kokkos::TeamPolicy<ExecutionSpace>::member_type;

template <class Body>
void for_rows(const std::string& name, int rows, const Body& body) {
  Kokkos::parallel_for(
      name, Kokkos::TeamPolicy<ExecutionSpace>(rows, Kokkos::AUTO),
      KOKKOS_LAMBDA(const RowMember& team) { body(team, team.league_rank()); });
}

template <class Body>
KOKKOS_FORCEINLINE_FUNCTION void simd_for(const RowMember& team, int begin, int end, const Body& body) {
  Kokkos::parallel_for(Kokkos::TeamVectorRange(team, begin, end), body);
}

#elif defined(TRAMONTANE_DEVICE_LAYOUT)

/// A device's team played by the host, to find races: a lane runs through the whole body before the next one starts,
/// which is the extreme of what a device without barriers may do. Rows run backwards, every other one with its lanes
/// backwards, so that a body that reads what another lane or row writes goes wrong in one row or the next.
struct RowMember {
  int lane;
  static constexpr int lanes = 5;
};

template <class Body>
void for_rows(const std::string& name, int rows, const Body& body) {
  Kokkos::parallel_for(
      name, Kokkos::RangePolicy<ExecutionSpace>(0, rows), KOKKOS_LAMBDA(int backwards) {
        const int row = rows - 1 - backwards;
        for (int lane = 0; lane < RowMember::lanes; ++lane)
          body(RowMember{row % 2 == 0 ? lane : RowMember::lanes - 1 - lane}, row);
      });
}

template <class Body>
KOKKOS_FORCEINLINE_FUNCTION void simd_for(const RowMember& team, int begin, int end, const Body& body) {
  for (int i = begin + team.lane; i < end; i += RowMember::lanes) body(i);
}

#else

// A team policy costs scratch set-up per row and keeps the host loop from vectorising; a flat range does not.
struct RowMember {};

/// Calls body(member, row) for every row.
template <class Body>
void for_rows(const std::string& name, int rows, const Body& body) {
  Kokkos::parallel_for(
      name, Kokkos::RangePolicy<ExecutionSpace>(0, rows), KOKKOS_LAMBDA(int row) { body(RowMember{}, row); });
}

/// One contiguous row of a kernel: on the host a loop that the compiler vectorises, on a device the lanes of a team.
/// The body must treat its iterations as independent. Through View accessors the host loop stays scalar, so callers
/// take restrict row pointers outside and index those (measured: about six times faster, docs/design/solver.md).
///
/// There is no barrier at the end: what one simd_for of a body writes, a later one may read or write again at the same
/// i only, and only if both ranges have the same begin, so that i falls to the same lane (docs/design/gpu.md).
template <class Body>
KOKKOS_FORCEINLINE_FUNCTION void simd_for(const RowMember&, int begin, int end, const Body& body) {
#pragma omp simd
  for (int i = begin; i < end; ++i) body(i);
}

#endif

#if defined(TRAMONTANE_HAS_PACKS)

/// A row by packs. Its body is written once, `[&](auto i) { store(out, i, load(q, i + 1) - load(q, i)); }`, and
/// compiled for packs and for single numbers: unlike simd_for the vector code does not hang on what the compiler's
/// vectoriser makes of a long body (docs/design/performance.md). The last pack overlaps the one before it where the row
/// is no multiple of kPack, so a body must not read what it writes; pack_for_once goes through what is left one by one
/// instead. As in simd_for there is no barrier.
template <class Body>
KOKKOS_FORCEINLINE_FUNCTION void pack_for(const RowMember&, int begin, int end, const Body& body) {
  if (end - begin < kPack) {
    for (int i = begin; i < end; ++i) body(i);
    return;
  }
  for (int i = begin; i < end; i += kPack) body(PackIndex{i + kPack <= end ? i : end - kPack});
}
template <class Body>
KOKKOS_FORCEINLINE_FUNCTION void pack_for_once(const RowMember&, int begin, int end, const Body& body) {
  int i = begin;
  for (; i + kPack <= end; i += kPack) body(PackIndex{i});
  for (; i < end; ++i) body(i);
}

#else

template <class Body>
KOKKOS_FORCEINLINE_FUNCTION void pack_for(const RowMember& team, int begin, int end, const Body& body) {
  simd_for(team, begin, end, body);
}
template <class Body>
KOKKOS_FORCEINLINE_FUNCTION void pack_for_once(const RowMember& team, int begin, int end, const Body& body) {
  simd_for(team, begin, end, body);
}

#endif

}  // namespace tramontane
