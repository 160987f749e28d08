/// XXH3 (64 bits) of bytes that arrive in pieces. Source: Y. Collet, xxHash, https://xxhash.com.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace tramontane {

/// The sum depends on the bytes and their order alone, not on how they were cut into pieces.
class Checksum {
 public:
  Checksum();
  ~Checksum();
  Checksum(const Checksum&) = delete;
  Checksum& operator=(const Checksum&) = delete;

  void reset();
  void add(const void* data, std::size_t bytes);
  /// Copies to `target` and adds the bytes while they are in the cache.
  void add_copy(void* target, const void* source, std::size_t bytes);
  std::uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tramontane
