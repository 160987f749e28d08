/// A file read and written at byte offsets, without HDF5.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include "kernels/errors.hpp"

namespace tramontane {

/// Owner of a file descriptor; every failure is a RunError that names the file.
class PlainFile {
 public:
  PlainFile(const std::string& path, int flags) : path_(path), number_(::open(path.c_str(), flags | O_CLOEXEC)) {
    if (number_ < 0) fail("open");
  }
  ~PlainFile() { ::close(number_); }
  PlainFile(const PlainFile&) = delete;
  PlainFile& operator=(const PlainFile&) = delete;

  std::uint64_t size() const {
    struct stat info {};
    if (fstat(number_, &info) != 0) fail("look at");
    return static_cast<std::uint64_t>(info.st_size);
  }
  void read(void* data, std::size_t bytes, std::uint64_t offset) const {
    for (std::size_t done = 0; done < bytes;) {
      const ssize_t count =
          pread(number_, static_cast<char*>(data) + done, bytes - done, static_cast<off_t>(offset + done));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) fail("read");
      done += static_cast<std::size_t>(count);
    }
  }
  void write(const void* data, std::size_t bytes, std::uint64_t offset) const {
    for (std::size_t done = 0; done < bytes;) {
      const ssize_t count =
          pwrite(number_, static_cast<const char*>(data) + done, bytes - done, static_cast<off_t>(offset + done));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail("write");
      done += static_cast<std::size_t>(count);
    }
  }
  void resize(std::uint64_t bytes) const {
    if (ftruncate(number_, static_cast<off_t>(bytes)) != 0) fail("resize");
  }
  void sync() const {
    if (fsync(number_) != 0) fail("bring to the disk");
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw RunError(fmt::format("cannot {} {} ({})", what, path_, std::strerror(errno)));
  }
  std::string path_;
  int number_;
};

}  // namespace tramontane
