/// Random numbers as a pure function of (seed, stream, counter): the same on every machine, in any order of calls, and
/// nothing to store but the counter.
#pragma once

#include <array>
#include <cstdint>

namespace tramontane {

/// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
inline std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0], b = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

/// Independent streams under one seed.
enum class RandomStream : std::uint32_t {
  initial_weights = 1,
  reservoir_draw = 2,
  reservoir_eviction = 3,
  self_test = 4,
  epoch_order = 5,
  held_out_months = 6,
  rollout_order = 7
};

inline std::uint64_t random_bits(std::uint64_t seed, RandomStream stream, std::uint64_t counter) {
  const auto r = philox({static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32),
                         static_cast<std::uint32_t>(stream), 0},
                        {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  return (std::uint64_t{r[1]} << 32) | r[0];
}

/// Uniform in [0, 1).
inline double uniform_at(std::uint64_t seed, RandomStream stream, std::uint64_t counter) {
  return static_cast<double>(random_bits(seed, stream, counter) >> 11) * 0x1.0p-53;
}

/// Uniform in 0 .. bound - 1; the bias of the reduction is below bound / 2^64.
inline std::size_t index_at(std::uint64_t seed, RandomStream stream, std::uint64_t counter, std::size_t bound) {
  return static_cast<std::size_t>(random_bits(seed, stream, counter) % bound);
}

}  // namespace tramontane
