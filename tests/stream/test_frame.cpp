#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "src/hdf5_handles.hpp"
#include "src/stream/frame.hpp"
#include "stream_fixtures.hpp"

namespace tramontane {
namespace {

using test::info_of;
using test::OwnedTiles;

FrameLayout layout_of(int n, int tiles_per_edge, int ranks, int rank, const std::string& run_id = "run-42") {
  return {Tiling(n, tiles_per_edge, ranks), rank, run_id};
}

FrameImage frame_of(const FrameLayout& layout, std::int64_t sample, std::int64_t weights = 3) {
  FrameImage image(layout);
  const OwnedTiles tiles(layout.tiling, layout.rank, sample);
  image.patch({info_of(sample), weights}, tiles.pointers);
  return image;
}

TEST(Frame, OpensFromDiskWithTheRightNumbers) {
  const FrameLayout layout = layout_of(8, 2, 4, 1);
  const FrameImage image = frame_of(layout, 17);
  const test::SharedFolder folder;
  const std::string path = folder.file("frame.h5");
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(image.bytes().data()), static_cast<std::streamsize>(image.bytes().size()));

  const hdf5::Handle file = hdf5::open_file(path);
  const SampleInfo info = info_of(17);
  EXPECT_EQ(hdf5::read_attribute<std::int64_t>(file, "sample"), info.number);
  EXPECT_EQ(hdf5::read_attribute<double>(file, "time"), info.time);
  EXPECT_EQ(hdf5::read_attribute<std::int32_t>(file, "month"), info.month);
  EXPECT_EQ(hdf5::read_attribute<std::int32_t>(file, "trajectory"), info.trajectory);
  EXPECT_EQ(hdf5::read_attribute<std::int32_t>(file, "validation"), info.validation);
  EXPECT_EQ(hdf5::read_attribute<std::int64_t>(file, "weights_version"), 3);
  EXPECT_EQ(hdf5::read_attribute<std::int64_t>(file, "producer_rank"), 1);
  EXPECT_EQ(hdf5::read_attribute<std::int64_t>(file, "grid_n"), 8);
  EXPECT_EQ(hdf5::read_attribute<std::int64_t>(file, "tiles_per_edge"), 2);
  EXPECT_EQ(hdf5::read_string_attribute(file, "run_id"), "run-42");
  EXPECT_EQ(hdf5::read_attribute<std::uint64_t>(file, "checksum"), FrameReader(layout).header(image.bytes()).checksum);

  const std::vector<std::int32_t> tiles = hdf5::read<std::int32_t>(hdf5::open_dataset(file, "tiles"));
  EXPECT_EQ(tiles, (std::vector<std::int32_t>{6, 7, 8, 9, 10, 11}));
  const OwnedTiles expected(layout.tiling, 1, 17);
  for (std::size_t v = 0; v < FrameLayout::variable_count(); ++v) {
    const bool input = v < sample_inputs().size();
    const Variable& what = input ? sample_inputs()[v] : sample_targets()[v - sample_inputs().size()];
    const hdf5::Handle data = hdf5::open_dataset(file, (input ? "input/" : "target/") + what.name);
    EXPECT_EQ(hdf5::dimensions(data), (std::vector<hsize_t>{6, 4, 4}));
    EXPECT_EQ(hdf5::read<float>(data), expected.fields[v]) << what.name;
    EXPECT_EQ(hdf5::read_string_attribute(data, "units"), what.units);
    EXPECT_EQ(hdf5::read_string_attribute(data, "long_name"), what.long_name);
    for (unsigned axis = 0; axis < 3; ++axis) EXPECT_EQ(H5DSget_num_scales(data, axis), 1);
  }
}

// The header numbers land where HDF5 itself puts them, for owners of one tile and of many, and for any run id.
TEST(Frame, PatchedEqualsBuiltByTheLibrary) {
  for (const auto& [n, tiles, ranks] : {std::tuple{4, 1, 1}, {4, 1, 6}, {12, 3, 5}, {6, 6, 7}})
    for (int rank = 0; rank < ranks; rank += 2)
      for (const std::string run_id : {"", "A", "0c1d-run with a long name that says what it is for"}) {
        const FrameLayout layout = layout_of(n, tiles, ranks, rank, run_id);
        FrameImage image(layout);
        for (const std::int64_t sample : {0L, 255L, 1L << 40}) {
          const OwnedTiles owned(layout.tiling, rank, sample);
          const FrameHeader header{info_of(sample % 1000), sample};
          image.patch(header, owned.pointers);
          const std::vector<std::byte> built = build_frame_by_library(layout, header, owned.pointers);
          ASSERT_TRUE(std::ranges::equal(image.bytes(), built)) << n << " " << rank << " " << run_id;
        }
      }
}

TEST(Frame, ReaderGivesBackWhatWasPatched) {
  const Tiling g(12, 2, 5);
  Sample sample;
  sample.n = g.n;
  sample.input.resize(sample_inputs().size() * g.cell_count());
  sample.target.resize(sample_targets().size() * g.cell_count());
  for (int rank = 0; rank < g.ranks; ++rank) {
    const FrameLayout layout{g, rank, "r"};
    const FrameImage image = frame_of(layout, 9, 77);
    const FrameReader reader(layout);
    const FrameVerdict verdict = reader.check(image.bytes(), 9);
    EXPECT_TRUE(verdict.good()) << verdict.reason;
    sample.info = reader.header(image.bytes()).info;
    EXPECT_EQ(reader.header(image.bytes()).weights_version, 77);
    reader.scatter(image.bytes(), sample);
  }
  EXPECT_TRUE(test::same(sample, test::whole_sample(g, 9)));
}

TEST(Frame, EverySingleFlippedBitIsDetected) {
  const FrameLayout layout = layout_of(4, 1, 6, 2);
  FrameImage image = frame_of(layout, 5);
  const FrameReader reader(layout);
  const std::span<std::byte> bytes = image.bytes();
  // All bits of the image: it is small enough not to sample them.
  for (std::size_t at = 0; at < bytes.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      bytes[at] ^= std::byte(1 << bit);
      ASSERT_FALSE(reader.check(bytes, 5).good()) << "byte " << at << " bit " << bit;
      bytes[at] ^= std::byte(1 << bit);
    }
  EXPECT_TRUE(reader.check(bytes, 5).good());
}

TEST(Frame, SeededFlipsInALargeFrameAreDetected) {
  const FrameLayout layout = layout_of(48, 2, 2, 1);
  FrameImage image = frame_of(layout, 5);
  const FrameReader reader(layout);
  const std::span<std::byte> bytes = image.bytes();
  std::mt19937_64 random(20240501);
  for (int trial = 0; trial < 500; ++trial) {
    const std::size_t bit = random() % (8 * bytes.size());
    bytes[bit / 8] ^= std::byte(1 << (bit % 8));
    ASSERT_FALSE(reader.check(bytes, 5).good()) << "bit " << bit;
    bytes[bit / 8] ^= std::byte(1 << (bit % 8));
  }
  EXPECT_TRUE(reader.check(bytes, 5).good());
}

TEST(Frame, EveryFaultHasItsName) {
  const FrameLayout layout = layout_of(8, 2, 4, 1);
  const FrameReader reader(layout);
  const FrameImage good = frame_of(layout, 5);
  auto fault_of = [&](const FrameLayout& other) { return reader.check(frame_of(other, 5).bytes(), 5).fault; };
  EXPECT_EQ(reader.check(good.bytes(), 5).fault, FrameFault::none);
  EXPECT_EQ(reader.check(good.bytes().first(good.bytes().size() - 1), 5).fault, FrameFault::length);
  EXPECT_EQ(reader.check({}, 5).fault, FrameFault::length);
  EXPECT_EQ(fault_of(layout_of(8, 2, 4, 1, "run-43")), FrameFault::run);
  EXPECT_EQ(fault_of(layout_of(8, 2, 4, 2)), FrameFault::producer);
  EXPECT_EQ(reader.check(good.bytes(), 6).fault, FrameFault::sample);
  EXPECT_NE(reader.check(good.bytes(), 6).reason.find("sample 5 where sample 6"), std::string::npos);

  auto flipped_at = [&](std::size_t at) {
    FrameImage bad = good;
    bad.bytes()[at] ^= std::byte{16};
    return reader.check(bad.bytes(), 5).fault;
  };
  EXPECT_EQ(flipped_at(0), FrameFault::constant);
  EXPECT_EQ(flipped_at(good.map().payload[3] + 40), FrameFault::checksum);
  EXPECT_EQ(flipped_at(good.map().header[1]), FrameFault::checksum);
  for (const auto& [fault, range] : good.map().identity) EXPECT_EQ(flipped_at(range.begin), fault);
}

// Memory that earlier work has left behind must not enter an image: both ends build their own template.
TEST(Frame, TemplatesOfTwoBuildsAgree) {
  const FrameLayout layout = layout_of(16, 2, 3, 2);
  const FrameImage first(layout);
  std::vector<std::vector<std::byte>> clutter;
  for (std::size_t size = 64; size < (1 << 18); size *= 2) clutter.emplace_back(size, std::byte{0xa5});
  clutter.clear();
  EXPECT_TRUE(std::ranges::equal(first.bytes(), FrameImage(layout).bytes()));
}

}  // namespace
}  // namespace tramontane
