#include "src/archive/archive_seal.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "kernels/checksum.hpp"
#include "kernels/errors.hpp"
#include "kernels/panel_topology.hpp"
#include "kernels/sample.hpp"
#include "src/archive/plain_file.hpp"
#include "src/hdf5_handles.hpp"

namespace tramontane {

namespace {

constexpr const char* kMagic = "tramontane archive seal\n";

/// The sum over the bytes of [0, body) that are in no run, and over the runs.
std::uint64_t sum_outside(const PlainFile& file, std::uint64_t body, const std::vector<ByteRun>& runs) {
  constexpr std::uint64_t kPiece = 1 << 20;
  std::vector<char> piece(kPiece);
  Checksum sum;
  auto add = [&](std::uint64_t begin, std::uint64_t end) {
    for (; begin < end; begin += std::min(kPiece, end - begin)) {
      const std::uint64_t bytes = std::min(kPiece, end - begin);
      file.read(piece.data(), bytes, begin);
      sum.add(piece.data(), bytes);
    }
  };
  std::uint64_t at = 0;
  for (const ByteRun& run : runs) {
    add(at, run.begin);
    at = run.begin + run.bytes;
  }
  add(at, body);
  sum.add(runs.data(), runs.size() * sizeof(ByteRun));
  return sum.value();
}

std::string seal_text(std::uint64_t body, std::size_t runs, std::uint64_t checksum) {
  std::string text = fmt::format("{}bytes {}\nruns {}\nchecksum {:016x}\n", kMagic, body, runs, checksum);
  Checksum sum;
  sum.add(text.data(), text.size());
  text += fmt::format("seal {:016x}\n", sum.value());
  text.resize(kSealText, '\0');
  return text;
}

}  // namespace

std::vector<ByteRun> payload_runs(const std::string& path) {
  const hdf5::Handle file = hdf5::open_file(path);
  std::vector<ByteRun> chunks;
  auto collect = [&](const std::string& name) {
    const hdf5::Handle data = hdf5::open_dataset(file, name);
    const std::vector<hsize_t> dims = hdf5::dimensions(data);
    for (hsize_t sample = 0; sample < dims[0]; ++sample)
      for (hsize_t panel = 0; panel < kPanels; ++panel) {
        const hsize_t offset[4] = {sample, panel, 0, 0};
        unsigned filters = 0;
        haddr_t address = HADDR_UNDEF;
        hsize_t bytes = 0;
        hdf5::check(H5Dget_chunk_info_by_coord(data, offset, &filters, &address, &bytes), "cannot find a chunk");
        if (address == HADDR_UNDEF) throw hdf5::Hdf5Error("a chunk of " + name + " was never written");
        chunks.push_back({address, bytes});
      }
  };
  for (const Variable& what : sample_inputs()) collect("input/" + what.name);
  for (const Variable& what : sample_targets()) collect("target/" + what.name);
  std::ranges::sort(chunks, {}, &ByteRun::begin);
  std::vector<ByteRun> runs;
  for (const ByteRun& chunk : chunks) {
    if (!runs.empty() && runs.back().begin + runs.back().bytes == chunk.begin)
      runs.back().bytes += chunk.bytes;
    else
      runs.push_back(chunk);
  }
  return runs;
}

void seal_archive(const std::string& path, const std::vector<ByteRun>& runs) {
  const PlainFile file(path, O_RDWR);
  const std::uint64_t body = file.size();
  const std::string text = seal_text(body, runs.size(), sum_outside(file, body, runs));
  file.write(runs.data(), runs.size() * sizeof(ByteRun), body);
  file.write(text.data(), text.size(), body + runs.size() * sizeof(ByteRun));
  file.sync();
}

ArchiveSeal check_archive_seal(const std::string& path) {
  const PlainFile file(path, O_RDONLY);
  const std::uint64_t size = file.size();
  ArchiveSeal seal;
  seal.body = size;
  if (size < kSealText) return seal;
  std::string text(kSealText, '\0');
  file.read(text.data(), text.size(), size - kSealText);
  if (!text.starts_with(kMagic)) return seal;
  seal.is_present = true;
  unsigned long long body = 0, count = 0, checksum = 0;
  const int found = std::sscanf(text.c_str() + std::strlen(kMagic), "bytes %llu\nruns %llu\nchecksum %llx\n", &body,
                                &count, &checksum);
  if (found != 3 || text != seal_text(body, count, checksum)) {
    seal.damage = "its seal is damaged";
    return seal;
  }
  seal.body = body;
  if (size < kSealText + body || (size - kSealText - body) / sizeof(ByteRun) != count ||
      (size - kSealText - body) % sizeof(ByteRun) != 0) {
    seal.damage =
        fmt::format("it has {} bytes where its seal tells of {}", size, body + count * sizeof(ByteRun) + kSealText);
    return seal;
  }
  std::vector<ByteRun> runs(count);
  file.read(runs.data(), count * sizeof(ByteRun), body);
  std::uint64_t at = 0;
  for (const ByteRun& run : runs) {
    if (run.begin < at || run.begin > body || run.bytes > body - run.begin) {
      seal.damage = "its seal is damaged";
      return seal;
    }
    at = run.begin + run.bytes;
  }
  if (sum_outside(file, body, runs) != checksum) seal.damage = "it does not match its checksum";
  return seal;
}

}  // namespace tramontane
