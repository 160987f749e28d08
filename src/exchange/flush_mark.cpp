#include "src/exchange/flush_mark.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "kernels/checksum.hpp"

namespace tramontane {

namespace {

/// The file: six words and their checksum. Half of a new mark and half of an old one fail it.
struct Words {
  std::uint64_t magic = 0x31304b52414d5454;  // "TTMARK01"
  std::uint64_t run = 0, generation = 0;
  std::int64_t samples = 0;
  std::uint64_t last = 0;
  std::uint64_t checksum = 0;

  std::uint64_t sum() const {
    Checksum sum;
    sum.add(this, offsetof(Words, checksum));
    return sum.value();
  }
};

}  // namespace

FlushMarkWriter::FlushMarkWriter(const std::string& path, std::uint64_t run, std::int64_t samples) {
  if (const auto earlier = FlushMarkReader(path).read(); earlier && earlier->run == run)
    state_.generation = earlier->generation;
  state_.run = run;
  state_.samples = samples;
  // A reader of an earlier run keeps its own file: this one is new, and comes into place whole.
  const std::string aside = path + ".part";
  std::error_code ignored;
  std::filesystem::remove(aside, ignored);
  file_ = open(aside.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  tell(ArchiveChange::begins, samples);
  if (file_ >= 0 && rename(aside.c_str(), path.c_str()) != 0) failure_ = std::strerror(errno);
}

FlushMarkWriter::~FlushMarkWriter() {
  if (file_ >= 0) close(file_);
}

void FlushMarkWriter::tell(ArchiveChange change, std::int64_t samples) {
  const bool begins = change == ArchiveChange::begins;
  // Odd while the structure changes, even otherwise, and never the same twice.
  state_.generation += (state_.generation % 2 != 0) == begins ? 2 : 1;
  if (!begins) state_.samples = samples;
  state_.last = change;
  Words words;
  words.run = state_.run;
  words.generation = state_.generation;
  words.samples = state_.samples;
  words.last = static_cast<std::uint64_t>(change);
  words.checksum = words.sum();
  if (file_ < 0 || pwrite(file_, &words, sizeof words, 0) != static_cast<ssize_t>(sizeof words))
    failure_ = std::strerror(errno);
}

FlushMarkReader::~FlushMarkReader() {
  if (file_ >= 0) close(file_);
}

std::optional<FlushState> FlushMarkReader::read() {
  // A new run puts a new file into the old one's place: the open one would then tell of the past for ever.
  struct stat now {}, mine {};
  if (stat(path_.c_str(), &now) != 0) return std::nullopt;
  if (file_ >= 0 && (fstat(file_, &mine) != 0 || mine.st_ino != now.st_ino || mine.st_dev != now.st_dev)) {
    close(file_);
    file_ = -1;
  }
  if (file_ < 0) file_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (file_ < 0) return std::nullopt;
  for (int attempt = 0; attempt < 3; ++attempt) {
    Words words;
    if (pread(file_, &words, sizeof words, 0) != static_cast<ssize_t>(sizeof words)) return std::nullopt;
    if (words.magic != Words{}.magic || words.checksum != words.sum() ||
        words.last > static_cast<std::uint64_t>(ArchiveChange::spoiled))
      continue;
    return FlushState{words.run, words.generation, words.samples, static_cast<ArchiveChange>(words.last)};
  }
  return std::nullopt;
}

}  // namespace tramontane
