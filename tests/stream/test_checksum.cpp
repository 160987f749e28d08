// The checksum of pieces against the library's of the whole; copies; wild numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "kernels/checksum.hpp"
#include "kernels/xxhash_inline.hpp"

namespace tramontane {
namespace {

std::vector<std::byte> noise(std::size_t bytes, unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> out(bytes);
  for (std::byte& b : out) b = static_cast<std::byte>(random());
  return out;
}

enum class Way { add, copy, finite, finite_copy };

/// In pieces of up to `longest` bytes, by the ways in turn; what was copied must equal what came.
std::uint64_t in_pieces(const std::vector<std::byte>& data, std::size_t longest, std::mt19937_64& random) {
  Checksum sum;
  std::vector<std::byte> copy(data.size() + 64);
  for (std::size_t at = 0; at < data.size();) {
    const std::size_t count = std::min<std::size_t>(random() % (longest + 1), data.size() - at);
    std::byte* to = copy.data() + random() % 64;
    switch (static_cast<Way>(random() % 4)) {
      case Way::add:
        sum.add(&data[at], count);
        break;
      case Way::finite:
        sum.add_finite(&data[at], count);
        break;
      case Way::copy:
        sum.add_copy(to, &data[at], count);
        EXPECT_EQ(std::memcmp(to, &data[at], count), 0);
        break;
      case Way::finite_copy:
        sum.add_finite_copy(to, &data[at], count);
        EXPECT_EQ(std::memcmp(to, &data[at], count), 0);
        break;
    }
    at += count;
  }
  EXPECT_EQ(sum.value(), sum.value());  // asking changes nothing
  return sum.value();
}

// Up to 240 bytes the library has other rules, up to 1024 one block, behind each block the sums are scrambled, and the
// last stripe is another one whether or not the input ends with it: lengths around all of these.
TEST(Checksum, OfPiecesIsTheLibrarysOfTheWhole) {
  std::mt19937_64 random(11);
  const std::vector<std::byte> data = noise(5000, 1);
  for (std::size_t bytes = 0; bytes <= data.size(); ++bytes) {
    const std::vector<std::byte> head(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(bytes));
    const std::uint64_t whole = XXH3_64bits(head.data(), bytes);
    for (const std::size_t longest : {1, 70, 3000}) {
      if (longest == 1 && bytes % 61 != 0 && bytes > 300) continue;
      ASSERT_EQ(in_pieces(head, longest, random), whole) << bytes << " bytes in pieces of up to " << longest;
    }
  }
}

TEST(Checksum, OfLongPiecesIsTheLibrarysOfTheWhole) {
  std::mt19937_64 random(12);
  for (const std::size_t bytes : {std::size_t{1} << 20, (std::size_t{2} << 20) + 13, std::size_t{3} * 1000 * 1000}) {
    const std::vector<std::byte> data = noise(bytes, 2);
    for (int turn = 0; turn < 8; ++turn)
      ASSERT_EQ(in_pieces(data, bytes, random), XXH3_64bits(data.data(), bytes)) << bytes << " bytes";
  }
}

TEST(Checksum, IsFreshAfterAReset) {
  const std::vector<std::byte> data = noise(3000, 3);
  Checksum sum;
  sum.add(data.data(), 1300);
  sum.reset();
  sum.add(data.data(), data.size());
  EXPECT_EQ(sum.value(), XXH3_64bits(data.data(), data.size()));
}

TEST(Checksum, FindsAWildNumberAnywhere) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // Of one float, of a piece and a bit, and of a call long enough to be fetched from memory.
  for (const std::size_t count : {std::size_t{1}, std::size_t{777}, std::size_t{140000}}) {
    std::vector<float> numbers(count, std::numeric_limits<float>::max()), copy(count);
    auto finite = [&] {
      Checksum one, other;
      const bool here = one.add_finite(numbers.data(), count * sizeof(float));
      EXPECT_EQ(other.add_finite_copy(copy.data(), numbers.data(), count * sizeof(float)), here);
      return here;
    };
    EXPECT_TRUE(finite());
    for (std::size_t at = 0; at < count; at += 1 + count / 300)
      for (const float wild : {NAN, kInfinity, -kInfinity}) {
        const float tame = std::exchange(numbers[at], wild);
        ASSERT_FALSE(finite()) << wild << " at " << at << " of " << count;
        numbers[at] = tame;
      }
    numbers.back() = NAN;
    EXPECT_FALSE(finite());
  }
}

}  // namespace
}  // namespace tramontane
