#include "machine_limits.hpp"

#include <algorithm>

#include "kernels/lanes.hpp"
#include "kernels/rows.hpp"
#include "measurement.hpp"

namespace tramontane {

// Rows as the solver's kernels have them, so that both are compiled alike.
void triad(const View<Real**>& a, const View<Real**>& b, const View<Real**>& c, Real s) {
  const int columns = static_cast<int>(a.extent(1));
  for_rows(
      "triad", static_cast<int>(a.extent(0)), KOKKOS_LAMBDA(const RowMember& team, int row) {
        Real* __restrict__ to = &a(row, 0);
        const Real* __restrict__ from = &b(row, 0);
        const Real* __restrict__ scaled = &c(row, 0);
        simd_for(team, 0, columns, [&](int i) { to[i] = from[i] + s * scaled[i]; });
      });
}

// Independent chains of multiply-adds in registers. What is stored at the end keeps the compiler from leaving them out.
template <int Chains>
void multiply_adds(const View<Real**>& result, int repeats, Real factor, Real summand) {
  Kokkos::parallel_for(
      "multiply-adds", Kokkos::RangePolicy<ExecutionSpace>(0, static_cast<int>(result.extent(0))),
      KOKKOS_LAMBDA(int item) {
        const Lanes zero = load_lanes(&result(item, 0)) * Real(0), times = zero + factor, plus = zero + summand;
        Lanes chain[Chains];
        for (int k = 0; k < Chains; ++k) chain[k] = zero + Real(k);
        for (int r = 0; r < repeats; ++r)
          for (int k = 0; k < Chains; ++k) chain[k] = chain[k] * times + plus;
        Lanes sum = zero;
        for (int k = 0; k < Chains; ++k) sum += chain[k];
        store_lanes(&result(item, 0), sum);
      });
}

namespace {

constexpr bool kOnHost = Kokkos::SpaceAccessibility<HostSpace, MemorySpace>::accessible;

nlohmann::ordered_json with_rate(const Timing& timing, double amount) {
  auto out = timing.json();
  out["rate"] = amount / timing.wall.median();
  out["best_rate"] = amount / timing.wall.minimum();
  if (kOnHost && timing.processor.median() > 0) out["processor_rate"] = amount / timing.processor.median();
  return out;
}

nlohmann::ordered_json triad_rate(MPI_Comm comm, double budget, std::size_t elements) {
  constexpr std::size_t columns = 4096;
  const std::size_t rows = elements / columns;
  const View<Real**> a("a", rows, columns), b("b", rows, columns), c("c", rows, columns);
  Kokkos::deep_copy(b, Real(1));
  Kokkos::deep_copy(c, Real(2));
  // One call on arrays of a cache takes microseconds: many calls a sample.
  const int calls = static_cast<int>(std::max<std::size_t>(1, (std::size_t{1} << 24) / (rows * columns)));
  const Timing timing = measure(comm, budget, [&] {
    for (int k = 0; k < calls; ++k) triad(a, b, c, Real(0.5));
  });
  auto out = with_rate(timing, 3.0 * sizeof(Real) * static_cast<double>(calls * rows * columns));
  out["bytes"] = 3 * sizeof(Real) * rows * columns;
  return out;
}

template <int Chains>
nlohmann::ordered_json multiply_add_rate(MPI_Comm comm, double budget) {
  const int items = kOnHost ? ExecutionSpace().concurrency() : 1 << 18, repeats = 200000;
  const View<Real**> result("result", items, kLanes);
  const Timing timing = measure(comm, budget, [&] { multiply_adds<Chains>(result, repeats, Real(0.5), Real(1)); });
  auto out = with_rate(timing, 2.0 * Chains * kLanes * static_cast<double>(repeats) * items);
  out["chains"] = Chains;
  return out;
}

}  // namespace

nlohmann::ordered_json measure_machine_limits(MPI_Comm comm, double budget) {
  nlohmann::ordered_json out;
  out["triad_memory"] = triad_rate(comm, budget, std::size_t{1} << 24);
  out["triad_cache"] = triad_rate(comm, budget, std::size_t{1} << 14);
  // How many chains fill the units, and still fit the registers, is the processor's matter: the best of three counts.
  for (auto& tried :
       {multiply_add_rate<4>(comm, budget), multiply_add_rate<6>(comm, budget), multiply_add_rate<10>(comm, budget)})
    if (!out.contains("multiply_adds") || tried["rate"] > out["multiply_adds"]["rate"]) out["multiply_adds"] = tried;
  return out;
}

}  // namespace tramontane
