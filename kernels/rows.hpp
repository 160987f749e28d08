/// Launches a kernel over rows: a plain range on the host, one team a row on a device.
#pragma once

#include <string>

#include "kernels/types.hpp"

namespace tramontane {

#if defined(KOKKOS_ENABLE_CUDA) || defined(KOKKOS_ENABLE_HIP)
using RowMember = Kokkos::TeamPolicy<ExecutionSpace>::member_type;

template <class Body>
void for_rows(const std::string& name, int rows, const Body& body) {
  Kokkos::parallel_for(
      name, Kokkos::TeamPolicy<ExecutionSpace>(rows, Kokkos::AUTO),
      KOKKOS_LAMBDA(const RowMember& team) { body(team, team.league_rank()); });
}
#else
// A team policy costs scratch set-up per row and keeps the host loop from vectorising; a flat range does not.
struct RowMember {};

template <class Body>
void for_rows(const std::string& name, int rows, const Body& body) {
  Kokkos::parallel_for(
      name, Kokkos::RangePolicy<ExecutionSpace>(0, rows), KOKKOS_LAMBDA(int row) { body(RowMember{}, row); });
}
#endif

}  // namespace tramontane
