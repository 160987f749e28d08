/// Neighbouring numbers of a row that a kernel works on at once: on the host a vector register, on a device one number
/// a thread. See pack_for in rows.hpp.
///
/// Arithmetic, comparisons and `?:` work on packs as on numbers, and with a number on the other side; functions are
/// those below. Every lane rounds as a single number does.
#pragma once

#include <cmath>
#include <cstring>
#include <type_traits>

#if defined(__AVX__)
#include <immintrin.h>
#endif

#include "kernels/multiply_add.hpp"
#include "kernels/types.hpp"

namespace tramontane {

/// Extent of a row of `count` numbers, rounded up to whole cache lines: a read across two of them costs double.
inline int padded_row(int count) {
  constexpr int line = 64 / static_cast<int>(sizeof(Real));
  return (count + line - 1) / line * line;
}

KOKKOS_FORCEINLINE_FUNCTION Real load(const Real* row, int i) { return row[i]; }
KOKKOS_FORCEINLINE_FUNCTION void store(Real* row, int i, Real value) { row[i] = value; }
KOKKOS_FORCEINLINE_FUNCTION Real square_root(Real a) { return std::sqrt(a); }

#if (defined(__GNUC__) || defined(__clang__)) && !defined(TRAMONTANE_DEVICE_LAYOUT)

#define TRAMONTANE_HAS_PACKS
#if defined(__AVX512F__)
inline constexpr int kPackBytes = 64;
#elif defined(__AVX__)
inline constexpr int kPackBytes = 32;
#else
inline constexpr int kPackBytes = 16;
#endif
inline constexpr int kPack = kPackBytes / sizeof(Real);
using Pack = Real __attribute__((vector_size(kPackBytes)));

/// The places first, first + 1, ... of a row.
struct PackIndex {
  int first;
  KOKKOS_FORCEINLINE_FUNCTION friend PackIndex operator+(PackIndex i, int k) { return {i.first + k}; }
};

KOKKOS_FORCEINLINE_FUNCTION Pack load(const Real* row, PackIndex i) {
  Pack value;
  std::memcpy(&value, row + i.first, sizeof value);
  return value;
}
KOKKOS_FORCEINLINE_FUNCTION void store(Real* row, PackIndex i, const Pack& value) {
  std::memcpy(row + i.first, &value, sizeof value);
}

KOKKOS_FORCEINLINE_FUNCTION const Pack& as_pack(const Pack& a) { return a; }
KOKKOS_FORCEINLINE_FUNCTION Pack as_pack(Real a) { return a - Pack{}; }

KOKKOS_FORCEINLINE_FUNCTION Pack square_root(const Pack& a) {
  Pack root;
  for (int lane = 0; lane < kPack; ++lane) root[lane] = std::sqrt(a[lane]);
  return root;
}
// By the processor's instruction where it is known: compilers turn the loop over lanes into one only now and then.
KOKKOS_FORCEINLINE_FUNCTION Pack multiply_add(const Pack& a, const Pack& b, const Pack& c) {
#if defined(__AVX512F__)
  if constexpr (sizeof(Real) == 8) return (Pack)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
  if constexpr (sizeof(Real) == 4) return (Pack)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  if constexpr (sizeof(Real) == 8) return (Pack)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
  if constexpr (sizeof(Real) == 4) return (Pack)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#endif
  Pack sum;
  for (int lane = 0; lane < kPack; ++lane) sum[lane] = multiply_add(a[lane], b[lane], c[lane]);
  return sum;
}
template <class A, class B, class C>
  requires(std::is_same_v<A, Pack> || std::is_same_v<B, Pack> || std::is_same_v<C, Pack>)
KOKKOS_FORCEINLINE_FUNCTION Pack multiply_add(const A& a, const B& b, const C& c) {
  return multiply_add(as_pack(a), as_pack(b), as_pack(c));
}

#else

using Pack = Real;

#endif

}  // namespace tramontane
