/// XXH3 (64 bits) of bytes that arrive in pieces. Source: Y. Collet, xxHash, https://xxhash.com.
///
/// The library's own routine for pieces keeps its sums in memory and adds one stripe of 64 bytes to the last: 17 GB/s
/// of bytes that lie in main memory, where one core reads 38. Here the library's step for one stripe stands in a loop
/// of our own, with two chains of sums, and bytes are fetched and copied on the way (docs/design/stream.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tramontane {

/// The sum depends on the bytes and their order alone, not on how they were cut into pieces: it is XXH3_64bits() of
/// all.
class Checksum {
 public:
  Checksum() { reset(); }
  Checksum(const Checksum&) = delete;
  Checksum& operator=(const Checksum&) = delete;

  void reset();
  void add(const void* data, std::size_t bytes);
  /// Copies to `target`, which must not overlap, and adds the copy's bytes while they are in the first cache.
  void add_copy(void* target, const void* source, std::size_t bytes);
  /// The same for whole floats (of any alignment); false when one of them is NaN or infinite.
  bool add_finite(const void* data, std::size_t bytes);
  bool add_finite_copy(void* target, const void* source, std::size_t bytes);
  std::uint64_t value() const;

 private:
  static constexpr std::size_t kStripe = 64, kShort = 240;  ///< inputs up to kShort bytes have rules of their own
  using Sums = std::array<std::uint64_t, kStripe / sizeof(std::uint64_t)>;

  std::size_t piece(std::size_t bytes) const;
  template <bool look, bool ask>
  bool take(const std::byte* data, std::size_t bytes);
  template <bool look>
  bool take_from_memory(const std::byte* data, std::size_t bytes);
  template <bool look, bool ask>
  bool take_stripes(const std::byte* data, std::size_t count);

  alignas(kStripe) Sums sums_;
  alignas(kStripe) Sums before_;  ///< sums without the last stripe, which has other rules if nothing follows it
  alignas(kStripe) std::array<std::byte, 2 * kStripe> last_;  ///< the last whole stripe, then what is not yet one
  std::array<std::byte, kShort> first_;
  std::size_t stripes_;  ///< taken in the present block
  std::size_t waiting_;  ///< bytes of last_ behind the whole stripe
  std::uint64_t total_;
};

}  // namespace tramontane
