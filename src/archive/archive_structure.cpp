#include "src/archive/archive_structure.hpp"

#include <algorithm>

#include "src/archive/archive_seal.hpp"
#include "src/archive/plain_file.hpp"

namespace tramontane {

namespace {

/// Layout: length of the file, number of pieces, the pieces (ByteRun), then their bytes one after the other.
struct Head {
  std::uint64_t length = 0, pieces = 0;
};

/// What of [0, length) is in no run.
std::vector<ByteRun> pieces_outside(const std::vector<ByteRun>& runs, std::uint64_t length) {
  std::vector<ByteRun> pieces;
  std::uint64_t at = 0;
  const auto add = [&](std::uint64_t end) {
    if (end > at) pieces.push_back({at, end - at});
  };
  for (const ByteRun& run : runs) {
    add(run.begin);
    at = run.begin + run.bytes;
  }
  add(length);
  return pieces;
}

}  // namespace

std::vector<std::byte> archive_structure(const std::string& path) {
  const std::vector<ByteRun> runs = payload_runs(path);
  const PlainFile file(path, O_RDONLY);
  const std::uint64_t length = file.size();
  const std::vector<ByteRun> pieces = pieces_outside(runs, length);
  const Head head{length, pieces.size()};
  std::size_t size = sizeof head + pieces.size() * sizeof(ByteRun);
  for (const ByteRun& piece : pieces) size += piece.bytes;
  std::vector<std::byte> out(size);
  std::byte* to = out.data();
  const auto put = [&](const void* data, std::size_t bytes) {
    std::memcpy(to, data, bytes);
    to += bytes;
  };
  put(&head, sizeof head);
  put(pieces.data(), pieces.size() * sizeof(ByteRun));
  for (const ByteRun& piece : pieces) {
    file.read(to, piece.bytes, piece.begin);
    to += piece.bytes;
  }
  return out;
}

void restore_archive_structure(const std::string& path, std::span<const std::byte> structure) {
  const auto refuse = [&](const char* why) { throw RunError(fmt::format("the kept structure of {} {}", path, why)); };
  Head head;
  if (structure.size() < sizeof head) refuse("is too short");
  std::memcpy(&head, structure.data(), sizeof head);
  structure = structure.subspan(sizeof head);
  if (structure.size() / sizeof(ByteRun) < head.pieces) refuse("is too short");
  std::vector<ByteRun> pieces(head.pieces);
  std::memcpy(pieces.data(), structure.data(), head.pieces * sizeof(ByteRun));
  structure = structure.subspan(head.pieces * sizeof(ByteRun));
  std::uint64_t at = 0, bytes = 0;
  for (const ByteRun& piece : pieces) {
    if (piece.begin < at || piece.begin > head.length || piece.bytes > head.length - piece.begin)
      refuse("has pieces that can not be");
    at = piece.begin + piece.bytes;
    bytes += piece.bytes;
  }
  if (bytes != structure.size()) refuse("has not the length that it tells");
  const PlainFile file(path, O_RDWR);
  // Values are not in the structure: the last of them must be there.
  const std::uint64_t values_end = at < head.length ? head.length : pieces.empty() ? 0 : pieces.back().begin;
  if (file.size() < values_end)
    throw RunError(fmt::format("{} has {} bytes, and its samples end at {}", path, file.size(), values_end));
  const std::byte* from = structure.data();
  for (const ByteRun& piece : pieces) {
    file.write(from, piece.bytes, piece.begin);
    from += piece.bytes;
  }
  file.resize(head.length);
}

}  // namespace tramontane
