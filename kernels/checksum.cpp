#include "kernels/checksum.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/xxhash_inline.hpp"

namespace tramontane {

namespace {

// The rules of long inputs (doc/xxhash_spec.md of the library): a block is as many stripes as the secret has shifts.
constexpr std::size_t kStripesABlock = (XXH_SECRET_DEFAULT_SIZE - XXH_STRIPE_LEN) / XXH_SECRET_CONSUME_RATE;
constexpr std::size_t kBlock = kStripesABlock * XXH_STRIPE_LEN;
static_assert(kStripesABlock % 2 == 0 && XXH_STRIPE_LEN == 64);

/// How far ahead memory is asked for: what another core has written is far away.
constexpr std::size_t kAhead = 8 << 10;
/// Source and target together leave room in a first-level cache, and a string instruction this short leaves what it has
/// written there. (4 KiB and more go past the cache on Zen 5, and are then read again from farther away.)
constexpr std::size_t kPiece = 2 << 10;
/// Bytes of one call that are more likely to lie in memory than in a cache.
constexpr std::size_t kFar = 512 << 10;
constexpr std::size_t kLine = 64;

void ask_for(const std::byte* data, std::size_t bytes) {
  for (std::size_t k = 0; k < bytes; k += kLine) __builtin_prefetch(data + k);
}

/// The string instruction reads memory faster than vector loads do (Zen 5, 32 MB: 20 GB/s copied and hashed instead of
/// 11).
void copy_near(void* target, const void* source, std::size_t bytes) {
#if defined(__x86_64__) && defined(__GNUC__)
  asm volatile("rep movsb" : "+D"(target), "+S"(source), "+c"(bytes) : : "memory");
#else
  std::memcpy(target, source, bytes);
#endif
}

/// An exponent of ones says that a float is NaN or infinite.
bool all_finite(const std::byte* data, std::size_t count) {
  constexpr std::uint32_t kExponent = 0x7f800000;
  std::uint32_t greatest = 0;
  for (std::size_t k = 0; k < count; ++k) {
    std::uint32_t word;
    std::memcpy(&word, data + k * sizeof word, sizeof word);
    word &= kExponent;
    greatest = greatest > word ? greatest : word;
  }
  return greatest != kExponent;
}

const xxh_u8* bytes_of(const std::byte* data) {
  return reinterpret_cast<const xxh_u8*>(data);
}
const xxh_u8* secret(std::size_t stripe) {
  return XXH3_kSecret + stripe * XXH_SECRET_CONSUME_RATE;
}

}  // namespace

void Checksum::reset() {
  constexpr std::uint64_t kStart[] = XXH3_INIT_ACC;
  std::copy(std::begin(kStart), std::end(kStart), sums_.begin());
  before_ = sums_;
  stripes_ = waiting_ = 0;
  total_ = 0;
}

/// Whole stripes, that is, whole floats if `look`.
template <bool look, bool ask>
bool Checksum::take_stripes(const std::byte* data, std::size_t count) {
  alignas(kStripe) Sums sums = sums_, before = before_;  // in registers
  bool finite = true;
  const std::byte* const end = data + count * kStripe;
  auto one = [&] {
    before = sums;
    XXH3_accumulate_512(sums.data(), bytes_of(data), secret(stripes_));
    if (look) finite = all_finite(data, kStripe / sizeof(float)) && finite;
    data += kStripe;
    if (++stripes_ < kStripesABlock) return;
    XXH3_scrambleAcc(sums.data(), XXH3_kSecret + XXH_SECRET_DEFAULT_SIZE - XXH_STRIPE_LEN);
    stripes_ = 0;
  };
  while (data != end && stripes_ != 0) one();
  for (; static_cast<std::size_t>(end - data) >= kBlock; data += kBlock) {
    // Sums of a block commute: two chains of them halve the time that each addition waits for the last.
    alignas(kStripe) Sums odd{};
    for (std::size_t s = 0; s < kStripesABlock - 2; s += 2) {
      if (ask) ask_for(data + s * kStripe + kAhead, 2 * kStripe);
      XXH3_accumulate_512(sums.data(), bytes_of(data + s * kStripe), secret(s));
      XXH3_accumulate_512(odd.data(), bytes_of(data + (s + 1) * kStripe), secret(s + 1));
    }
    XXH3_accumulate_512(sums.data(), bytes_of(data + (kStripesABlock - 2) * kStripe), secret(kStripesABlock - 2));
    for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += odd[k];
    before = sums;
    XXH3_accumulate_512(sums.data(), bytes_of(data + (kStripesABlock - 1) * kStripe), secret(kStripesABlock - 1));
    XXH3_scrambleAcc(sums.data(), XXH3_kSecret + XXH_SECRET_DEFAULT_SIZE - XXH_STRIPE_LEN);
    if (look) finite = all_finite(data, kBlock / sizeof(float)) && finite;
  }
  while (data != end) one();
  sums_ = sums;
  before_ = before;
  return finite;
}

/// Whole floats if `look`, and then whether they are all finite.
template <bool look, bool ask>
bool Checksum::take(const std::byte* data, std::size_t bytes) {
  if (bytes == 0) return true;
  // Stripes would cut floats in two.
  if (look && waiting_ % sizeof(float) != 0)
    return take<false, ask>(data, bytes) && all_finite(data, bytes / sizeof(float));
  bool finite = true;
  if (total_ < kShort) std::memcpy(first_.data() + total_, data, std::min<std::size_t>(bytes, kShort - total_));
  total_ += bytes;
  std::byte* const rest = last_.data() + kStripe;
  if (waiting_ > 0) {
    const std::size_t more = std::min(bytes, kStripe - waiting_);
    if (look) finite = all_finite(data, more / sizeof(float));
    std::memcpy(rest + waiting_, data, more);
    waiting_ += more;
    data += more;
    bytes -= more;
    if (waiting_ < kStripe) return finite;
    take_stripes<false, false>(rest, 1);
    std::memcpy(last_.data(), rest, kStripe);
    waiting_ = 0;
  }
  if (bytes >= kStripe) {
    const std::size_t whole = bytes / kStripe * kStripe;
    finite = take_stripes<look, ask>(data, bytes / kStripe) && finite;
    std::memcpy(last_.data(), data + whole - kStripe, kStripe);
    data += whole;
    bytes -= whole;
  }
  if (look) finite = all_finite(data, bytes / sizeof(float)) && finite;
  std::memcpy(rest, data, bytes);
  waiting_ = bytes;
  return finite;
}

/// Bytes to take next of so many: pieces begin with blocks.
std::size_t Checksum::piece(std::size_t bytes) const {
  return std::min(kPiece - (stripes_ * kStripe + waiting_), bytes);
}

/// What is more likely to lie in memory than in a cache is asked for in time, piece by piece (32 instead of 21 GB/s).
template <bool look>
bool Checksum::take_from_memory(const std::byte* data, std::size_t bytes) {
  bool finite = true;
  for (std::size_t done = 0, count = 0; done < bytes; done += count) {
    count = piece(bytes - done);
    ask_for(data + done + kAhead, count);
    finite = take<look, false>(data + done, count) && finite;
  }
  return finite;
}

void Checksum::add(const void* data, std::size_t bytes) {
  const auto* from = static_cast<const std::byte*>(data);
  bytes < kFar ? take<false, true>(from, bytes) : take_from_memory<false>(from, bytes);
}

bool Checksum::add_finite(const void* data, std::size_t bytes) {
  const auto* from = static_cast<const std::byte*>(data);
  return bytes < kFar ? take<true, true>(from, bytes) : take_from_memory<true>(from, bytes);
}

void Checksum::add_copy(void* target, const void* source, std::size_t bytes) {
  // Long pieces: where another core has read the target before, writing is what takes time, and the sum of what has
  // just been written would wait for it.
  constexpr std::size_t kLong = 16 << 10;
  auto* to = static_cast<std::byte*>(target);
  const auto* from = static_cast<const std::byte*>(source);
  for (std::size_t done = 0; done < bytes; done += kLong) {
    const std::size_t count = std::min(kLong, bytes - done);
    std::memcpy(to + done, from + done, count);
    take<false, false>(to + done, count);
  }
}

bool Checksum::add_finite_copy(void* target, const void* source, std::size_t bytes) {
  auto* to = static_cast<std::byte*>(target);
  const auto* from = static_cast<const std::byte*>(source);
  bool finite = true;
  for (std::size_t done = 0, count = 0; done < bytes; done += count) {
    count = piece(bytes - done);
    ask_for(from + done + kAhead, count);
    copy_near(to + done, from + done, count);
    finite = take<true, false>(to + done, count) && finite;
  }
  return finite;
}

std::uint64_t Checksum::value() const {
  if (total_ <= kShort) return XXH3_64bits(first_.data(), total_);
  // The last 64 bytes come once more, or for the first time, with a part of the secret of their own.
  alignas(kStripe) Sums sums = waiting_ == 0 ? before_ : sums_;
  XXH3_accumulate_512(sums.data(), bytes_of(last_.data() + waiting_),
                      XXH3_kSecret + XXH_SECRET_DEFAULT_SIZE - XXH_STRIPE_LEN - XXH_SECRET_LASTACC_START);
  return XXH3_mergeAccs(sums.data(), XXH3_kSecret + XXH_SECRET_MERGEACCS_START, total_ * XXH_PRIME64_1);
}

}  // namespace tramontane
