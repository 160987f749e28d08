#include <gtest/gtest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>

#include "kernels/errors.hpp"
#include "src/archive/archive_reader.hpp"
#include "src/archive/archive_seal.hpp"
#include "src/archive/archive_writer.hpp"
#include "stream_fixtures.hpp"

namespace tramontane {
namespace {

using test::info_of;
using test::OwnedTiles;
using test::SharedFolder;

ArchiveMeta meta_of(const Tiling& g) {
  ArchiveMeta meta;
  meta.interval_seconds = 3600;
  meta.code_version = "0.1.0";
  meta.run_id = "run-42";
  meta.source = "test";
  for (int cell = 0; cell < g.cell_count(); ++cell) {
    meta.lon.push_back(cell);
    meta.lat.push_back(-cell);
    meta.cell_area.push_back(2.0 * cell);
  }
  return meta;
}

int rank_in(MPI_Comm comm) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  return rank;
}

/// Writes `samples` samples with all ranks of comm; a target value of sample `bad` is replaced by `value`.
void write_archive(const std::string& path, MPI_Comm comm, int samples, int bad = -1, float value = 0) {
  int size = 1;
  MPI_Comm_size(comm, &size);
  const Tiling g(6, 2, size);
  ArchiveMeta meta = meta_of(g);
  if (rank_in(comm) != 0) meta.lon = meta.lat = meta.cell_area = {};  // rank 0 alone needs them
  ArchiveWriter writer(path, comm, g, meta);
  for (int s = 0; s < samples; ++s) {
    OwnedTiles tiles(g, rank_in(comm), s);
    if (s == bad) tiles.fields[6][4] = value;
    writer.append(info_of(s), tiles.pointers);
  }
  writer.close();
}

/// The message of the InputError that reading everything ends with; empty when it does not.
std::string fault_of(const std::string& path) {
  try {
    ArchiveReader(path).verify();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void put_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

void expect_samples(const ArchiveReader& reader, int samples) {
  const Tiling g(6, 2, 1);
  ASSERT_EQ(reader.size(), samples);
  for (int s = 0; s < samples; ++s) {
    EXPECT_TRUE(test::same(reader.info(s), info_of(s)));
    EXPECT_TRUE(test::same(reader.read(s), test::whole_sample(g, s))) << s;
  }
}

TEST(ParallelArchive, RoundTripOnAnyNumberOfRanks) {
  const SharedFolder folder;
  write_archive(folder.file("all.h5"), MPI_COMM_WORLD, 7);
  if (test::world_rank() == 0) write_archive(folder.file("one.h5"), MPI_COMM_SELF, 7);
  MPI_Barrier(MPI_COMM_WORLD);
  for (const char* name : {"all.h5", "one.h5"}) {
    const ArchiveReader reader(folder.file(name));
    expect_samples(reader, 7);
    EXPECT_TRUE(reader.complete());
    EXPECT_EQ(reader.n(), 6);
    EXPECT_EQ(reader.tiles_per_edge(), 2);
    EXPECT_EQ(reader.interval_seconds(), 3600);
    EXPECT_EQ(reader.run_id(), "run-42");
    EXPECT_EQ(reader.code_version(), "0.1.0");
    const ArchiveMeta meta = meta_of(Tiling(6, 2, 1));
    EXPECT_EQ(reader.lon(), meta.lon);
    EXPECT_EQ(reader.lat(), meta.lat);
    EXPECT_EQ(reader.cell_area(), meta.cell_area);
  }
}

TEST(ParallelArchive, KilledRunLeavesTheLastFlush) {
  const SharedFolder folder;
  const Tiling g(6, 2, test::world_size());
  ArchiveMeta meta = meta_of(g);
  meta.flush_every = 4;
  ArchiveWriter writer(folder.file("live.h5"), MPI_COMM_WORLD, g, meta);
  for (int s = 0; s < 11; ++s) {
    writer.append(info_of(s), OwnedTiles(g, test::world_rank(), s).pointers);
    MPI_Barrier(MPI_COMM_WORLD);
    if (test::world_rank() == 0) {  // what the disk holds at this moment
      std::filesystem::copy_file(folder.file("live.h5"), folder.file("killed.h5"),
                                 std::filesystem::copy_options::overwrite_existing);
      const ArchiveReader killed(folder.file("killed.h5"));
      EXPECT_FALSE(killed.complete());
      expect_samples(killed, (s + 1) / 4 * 4);
    }
    MPI_Barrier(MPI_COMM_WORLD);
  }
  writer.close();
  MPI_Barrier(MPI_COMM_WORLD);
  expect_samples(ArchiveReader(folder.file("live.h5")), 11);
}

TEST(ParallelArchive, UnwritablePathIsOneErrorOnAllRanks) {
  const Tiling g(6, 2, test::world_size());
  try {
    ArchiveWriter writer("/no/such/folder/archive.h5", MPI_COMM_WORLD, g, meta_of(g));
    ADD_FAILURE() << "no error";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("/no/such/folder/archive.h5"), std::string::npos);
  }
}

// A limit on file size stands for a full disk.
TEST(ParallelArchive, FullDiskIsToldAndKeepsEverySampleBefore) {
  const SharedFolder folder;
  const Tiling g(24, 1, test::world_size());
  ArchiveMeta meta = meta_of(g);
  meta.flush_every = 4;
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  std::string message;
  std::int64_t written = 0;
  {
    ArchiveWriter writer(folder.file("full.h5"), MPI_COMM_WORLD, g, meta);
    rlimit small = before;
    small.rlim_cur = 2500000;  // under twenty samples of 124 kB
    setrlimit(RLIMIT_FSIZE, &small);
    try {
      for (int s = 0; s < 30; ++s) {
        writer.append(info_of(s), OwnedTiles(g, test::world_rank(), s).pointers);
        ++written;
      }
    } catch (const RunError& error) {
      message = error.what();
    }
    EXPECT_TRUE(writer.failed());
    EXPECT_THROW(writer.append(info_of(31), OwnedTiles(g, test::world_rank(), 31).pointers), RunError);
    EXPECT_NO_THROW(writer.close());
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(message.find("full.h5"), std::string::npos) << message;
  EXPECT_NE(message.find("make room for sample " + std::to_string(written)), std::string::npos) << message;
  EXPECT_GE(written, 5);
  EXPECT_LT(written, 20);
  MPI_Barrier(MPI_COMM_WORLD);
  const ArchiveReader reader(folder.file("full.h5"));
  EXPECT_FALSE(reader.complete());
  EXPECT_EQ(reader.size(), written);
  EXPECT_NO_THROW(reader.verify());
}

TEST(Archive, FaultsAreToldInOneSentence) {
  const SharedFolder folder;
  const std::string good = folder.file("good.h5"), bad = folder.file("bad.h5");
  write_archive(good, MPI_COMM_SELF, 3);
  EXPECT_EQ(fault_of(good), "");
  auto expect_fault = [&](const std::string& part) {
    const std::string message = fault_of(bad);
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_NE(message.find(bad), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  };
  expect_fault("no such file");
  put_bytes(bad, "lon,lat,h\n1,2,3\n");
  expect_fault("not an HDF5 file");
  const std::string whole = bytes_of(good);
  for (const double part : {0.1, 0.5, 0.99}) {
    put_bytes(bad, whole.substr(0, static_cast<std::size_t>(part * static_cast<double>(whole.size()))));
    expect_fault("truncated");
  }
  put_bytes(bad, whole);
  { hdf5::Handle other = hdf5::create_file(bad); }
  expect_fault("no Tramontane archive");

  auto edited = [&](auto edit) {
    put_bytes(bad, whole);
    const hdf5::Handle file = hdf5::open_file(bad, H5F_ACC_RDWR);
    edit(file);
  };
  edited([](hid_t file) { hdf5::write_attribute(file, "format_version", std::int32_t{99}); });
  expect_fault("format version 99");
  edited([](hid_t file) { H5Ldelete(file, "input/u_y", H5P_DEFAULT); });
  expect_fault("input/u_y is missing");
  edited([](hid_t file) { H5Ldelete(file, "target", H5P_DEFAULT); });
  expect_fault("target/h_tendency is missing");
  edited([](hid_t file) {
    hdf5::write_attribute(hdf5::open_dataset(file, "input/surface_height"), "units", std::string("km"));
  });
  expect_fault("input/surface_height is in \"km\", this program needs \"m\"");
  edited([](hid_t file) { hdf5::write_attribute(file, "samples", std::int64_t{4}); });
  expect_fault("number has fewer than 4 values");
  edited([](hid_t file) { hdf5::write_attribute(file, "n", std::int32_t{12}); });
  expect_fault("shape (3, 6, 6, 6)");
  edited([](hid_t file) {
    const hdf5::Handle data = hdf5::open_dataset(file, "month");
    std::vector<std::int32_t> months = hdf5::read<std::int32_t>(data);
    months[1] += 1;
    hdf5::write(data, months.data());
  });
  expect_fault("the seal at its end is missing");  // HDF5 has cut it off
  seal_archive(bad, payload_runs(bad));
  expect_fault("sample 1 does not match its checksum");
}

// One bit of every byte outside the samples' values, of the seal too, and seeded ones inside: all are noticed.
TEST(Archive, AnyFlippedBitOfAFinishedOneIsDetected) {
  const SharedFolder folder;
  const std::string path = folder.file("sealed.h5");
  write_archive(path, MPI_COMM_SELF, 2);
  const ArchiveSeal seal = check_archive_seal(path);
  ASSERT_TRUE(seal.is_present);
  ASSERT_EQ(seal.damage, "");
  const std::vector<ByteRun> runs = payload_runs(path);
  std::uint64_t values = 0;
  for (const ByteRun& run : runs) values += run.bytes;
  EXPECT_EQ(values, 2u * 9 * 6 * 36 * sizeof(float));  // all values, and nothing else, is left to the samples' checksums
  const std::string whole = bytes_of(path);
  const int file = open(path.c_str(), O_WRONLY);
  ASSERT_GE(file, 0);
  auto unnoticed_at = [&](std::size_t byte, int bit) {
    const char flipped = static_cast<char>(whole[byte] ^ (1 << bit));
    EXPECT_EQ(pwrite(file, &flipped, 1, static_cast<off_t>(byte)), 1);
    const std::string fault = fault_of(path);
    EXPECT_EQ(pwrite(file, &whole[byte], 1, static_cast<off_t>(byte)), 1);
    return fault.empty() || fault.find(path) == std::string::npos;
  };
  auto is_value = [&](std::size_t byte) {
    return std::ranges::any_of(
        runs, [&](const ByteRun& run) { return byte >= run.begin && byte < run.begin + run.bytes; });
  };
  std::size_t unnoticed = 0, structure = 0, inside = 0;
  for (std::size_t byte = 0; byte < whole.size(); ++byte) {
    if (is_value(byte) && byte % 97 != 0) continue;  // reading all samples takes its time
    ++(is_value(byte) ? inside : structure);
    unnoticed += unnoticed_at(byte, static_cast<int>(byte % 8));
  }
  EXPECT_EQ(unnoticed, 0u) << "of " << structure << " bytes of structure and " << inside << " of values";
  EXPECT_EQ(structure, whole.size() - values);
  EXPECT_GT(inside, 100u);
  // Every bit of the seal's text.
  for (std::size_t byte = whole.size() - kSealText; byte < whole.size(); ++byte)
    for (int bit = 0; bit < 8; ++bit) unnoticed += unnoticed_at(byte, bit);
  EXPECT_EQ(unnoticed, 0u);
  EXPECT_EQ(fault_of(path), "");
  ::close(file);
  // Other lengths.
  put_bytes(path, whole + '\0');
  EXPECT_NE(fault_of(path).find("seal at its end is missing"), std::string::npos) << fault_of(path);
  put_bytes(path, whole.substr(0, seal.body));
  EXPECT_NE(fault_of(path).find("seal at its end is missing"), std::string::npos) << fault_of(path);
  // The samples are whole, and whoever asks for what can be had gets them.
  expect_samples(ArchiveReader(path, true), 2);
  EXPECT_FALSE(ArchiveReader(path, true).complete());
}

/// All ranks go on with an archive of `before` samples behind the first `kept`, with `more` samples.
void go_on(const std::string& path, std::int64_t kept, int more) {
  const Tiling g(6, 2, test::world_size());
  ArchiveMeta meta = meta_of(g);
  meta.keep_samples = kept;
  meta.flush_every = 4;
  ArchiveWriter writer(path, MPI_COMM_WORLD, g, meta);
  EXPECT_EQ(writer.size(), kept);
  for (int s = static_cast<int>(kept); s < kept + more; ++s)
    writer.append(info_of(s), OwnedTiles(g, test::world_rank(), s).pointers);
  writer.close();
}

TEST(ParallelArchive, GoesOnBehindTheSamplesThatAreKept) {
  const SharedFolder folder;
  const std::string path = folder.file("a.h5");
  for (const std::int64_t kept : {0, 1, 4, 7}) {
    write_archive(path, MPI_COMM_WORLD, 7);
    MPI_Barrier(MPI_COMM_WORLD);
    for (const int more : {0, 6}) {
      go_on(path, kept, more);
      MPI_Barrier(MPI_COMM_WORLD);
      const ArchiveReader reader(path);
      expect_samples(reader, static_cast<int>(kept) + more);
      EXPECT_TRUE(reader.complete());
      EXPECT_EQ(reader.lon(), meta_of(Tiling(6, 2, 1)).lon);
      MPI_Barrier(MPI_COMM_WORLD);
    }
  }
}

// As a killed run left it: of its samples those of the last flush can be kept.
TEST(ParallelArchive, GoesOnWithWhatAKilledRunLeft) {
  const SharedFolder folder;
  const Tiling g(6, 2, test::world_size());
  ArchiveMeta meta = meta_of(g);
  meta.flush_every = 4;
  ArchiveWriter writer(folder.file("live.h5"), MPI_COMM_WORLD, g, meta);
  for (int s = 0; s < 11; ++s) writer.append(info_of(s), OwnedTiles(g, test::world_rank(), s).pointers);
  MPI_Barrier(MPI_COMM_WORLD);
  if (test::world_rank() == 0) std::filesystem::copy_file(folder.file("live.h5"), folder.file("killed.h5"));
  MPI_Barrier(MPI_COMM_WORLD);
  writer.close();
  EXPECT_THROW(go_on(folder.file("killed.h5"), 9, 0), ArchiveUnreadable);
  go_on(folder.file("killed.h5"), 6, 7);
  MPI_Barrier(MPI_COMM_WORLD);
  expect_samples(ArchiveReader(folder.file("killed.h5")), 13);
}

TEST(ParallelArchive, WhatCannotBeGoneOnWithStaysAsItIs) {
  const SharedFolder folder;
  const std::string path = folder.file("a.h5");
  EXPECT_THROW(go_on(path, 0, 0), ArchiveUnreadable);
  write_archive(path, MPI_COMM_WORLD, 3);
  MPI_Barrier(MPI_COMM_WORLD);
  const std::string before = bytes_of(path);
  EXPECT_THROW(go_on(path, 4, 0), ArchiveUnreadable);
  ArchiveMeta meta = meta_of(Tiling(6, 2, test::world_size()));
  meta.keep_samples = 1;
  meta.interval_seconds = 1800;
  EXPECT_THROW(ArchiveWriter(path, MPI_COMM_WORLD, Tiling(6, 2, test::world_size()), meta), ArchiveUnreadable);
  EXPECT_EQ(bytes_of(path), before);
  MPI_Barrier(MPI_COMM_WORLD);
  if (test::world_rank() == 0) {
    std::string bad = before;
    bad[bad.size() / 3] ^= 1;
    put_bytes(path, bad.substr(0, bad.size() / 2));
  }
  MPI_Barrier(MPI_COMM_WORLD);
  EXPECT_THROW(go_on(path, 1, 0), ArchiveUnreadable);
}

TEST(Archive, DamagedPayloadIsFound) {
  const SharedFolder folder;
  const std::string good = folder.file("good.h5"), bad = folder.file("bad.h5");
  write_archive(good, MPI_COMM_SELF, 3);
  std::string bytes = bytes_of(good);
  // A value of sample 2 as it lies in the file: it occurs once.
  const float value = test::value_at(2, 5, 100);
  const std::string pattern(reinterpret_cast<const char*>(&value), sizeof value);
  const std::size_t at = bytes.find(pattern);
  ASSERT_NE(at, std::string::npos);
  ASSERT_EQ(bytes.find(pattern, at + 1), std::string::npos);
  bytes[at] ^= 1;
  put_bytes(bad, bytes);
  const ArchiveReader reader(bad);
  EXPECT_NO_THROW(reader.read(1));
  EXPECT_THROW(reader.read(2), InputError);
  EXPECT_NE(fault_of(bad).find("sample 2 does not match its checksum in tile"), std::string::npos) << fault_of(bad);
}

TEST(Archive, NumbersThatAreNotFiniteAreRefused) {
  const SharedFolder folder;
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    write_archive(folder.file("nan.h5"), MPI_COMM_SELF, 3, 1, value);
    const std::string message = fault_of(folder.file("nan.h5"));
    EXPECT_NE(message.find("sample 1 holds a number that is not finite in u_x_tendency"), std::string::npos) << message;
  }
}

TEST(Archive, DimensionScalesNameTheAxes) {
  const SharedFolder folder;
  write_archive(folder.file("a.h5"), MPI_COMM_SELF, 2);
  const hdf5::Handle file = hdf5::open_file(folder.file("a.h5"));
  auto axis_names = [&](const std::string& name) {
    const hdf5::Handle data = hdf5::open_dataset(file, name);
    std::vector<std::string> names;
    for (unsigned axis = 0; axis < hdf5::dimensions(data).size(); ++axis)
      H5DSiterate_scales(
          data, axis, nullptr,
          [](hid_t, unsigned, hid_t scale, void* list) -> herr_t {
            char text[32] = "";
            H5DSget_scale_name(scale, text, sizeof text);
            static_cast<std::vector<std::string>*>(list)->push_back(text);
            return 0;
          },
          &names);
    return names;
  };
  const std::vector<std::string> field = {"sample", "panel", "j", "i"};
  for (const Variable& what : sample_inputs()) EXPECT_EQ(axis_names("input/" + what.name), field);
  for (const Variable& what : sample_targets()) EXPECT_EQ(axis_names("target/" + what.name), field);
  EXPECT_EQ(axis_names("lon"), (std::vector<std::string>{"panel", "j", "i"}));
  EXPECT_EQ(axis_names("time"), (std::vector<std::string>{"sample"}));
  EXPECT_EQ(axis_names("checksum"), (std::vector<std::string>{"sample", "tile"}));
}

}  // namespace
}  // namespace tramontane
