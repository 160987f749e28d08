#include "kernels/checksum.hpp"

#include <algorithm>
#include <cstring>

// g++ 12 warns about the undefined operands of its own AVX-512 intrinsics.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tramontane {

struct Checksum::State {
  XXH3_state_t xxh;
};

Checksum::Checksum() : state_(std::make_unique<State>()) {
  reset();
}
Checksum::~Checksum() = default;

void Checksum::reset() {
  XXH3_64bits_reset(&state_->xxh);
}
void Checksum::add(const void* data, std::size_t bytes) {
  XXH3_64bits_update(&state_->xxh, data, bytes);
}

void Checksum::add_copy(void* target, const void* source, std::size_t bytes) {
  constexpr std::size_t kBlock = 16 << 10;  // source and target together fit a first-level cache
  auto* to = static_cast<char*>(target);
  const auto* from = static_cast<const char*>(source);
  for (std::size_t done = 0; done < bytes; done += kBlock) {
    const std::size_t count = std::min(kBlock, bytes - done);
    std::memcpy(to + done, from + done, count);
    add(to + done, count);
  }
}

std::uint64_t Checksum::value() const {
  return XXH3_64bits_digest(&state_->xxh);
}

}  // namespace tramontane
