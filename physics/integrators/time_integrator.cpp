#include "physics/integrators/time_integrator.hpp"

namespace tramontane {

void combine(const State& out, double a, const State& x, double b, const State& y) {
  Real* to = out.data();
  const Real *first = x.data(), *second = y.data();
  Kokkos::parallel_for(
      "combine states", Kokkos::RangePolicy<ExecutionSpace>(0, out.span()),
      KOKKOS_LAMBDA(std::size_t k) { to[k] = a * first[k] + b * second[k]; });
}

void copy_first_variable(const State& out, const State& x) {
  Kokkos::deep_copy(Kokkos::subview(out, Kokkos::ALL, Kokkos::ALL, 0, Kokkos::ALL, Kokkos::ALL),
                    Kokkos::subview(x, Kokkos::ALL, Kokkos::ALL, 0, Kokkos::ALL, Kokkos::ALL));
}

}  // namespace tramontane
