#include "src/checkpoint/sealed_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "kernels/errors.hpp"
#include "src/checkpoint/file_seal.hpp"

namespace tramontane {

namespace {

namespace fs = std::filesystem;

void write_bytes(const fs::path& path, std::span<const std::byte> bytes) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) throw RunError(fmt::format("cannot create {} ({})", path.string(), std::strerror(errno)));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = write(file, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;
    done += static_cast<std::size_t>(count);
  }
  const int reason = errno;
  if (close(file) != 0 || done < bytes.size())
    throw RunError(
        fmt::format("cannot write {} ({})", path.string(), std::strerror(done < bytes.size() ? reason : errno)));
}

}  // namespace

void write_sealed_file(const fs::path& path, int format, std::span<const std::byte> contents) {
  const fs::path part = path.string() + ".part";
  try {
    std::vector<std::byte> bytes(kSealBytes + contents.size());
    std::copy(contents.begin(), contents.end(), bytes.begin() + kSealBytes);
    write_bytes(part, bytes);
    seal_file(part.string(), format, MPI_COMM_SELF);
    put_in_place(part, path);
  } catch (const std::exception& error) {
    std::error_code ignored;
    fs::remove(part, ignored);
    throw RunError(error.what());
  }
}

std::string read_behind_seal(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(kSealBytes));
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in.good() && !in.eof()) throw RunError("cannot read " + path.string());
  return text;
}

void put_in_place(const fs::path& part, const fs::path& path) {
  std::error_code error;
  fs::rename(part, path, error);
  if (error) throw RunError(fmt::format("cannot rename {} ({})", part.string(), error.message()));
  sync_folder(path.parent_path());
}

void sync_folder(const fs::path& folder) {
  const int file = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return;
  fsync(file);  // a file system that can not do this keeps its own order
  close(file);
}

}  // namespace tramontane
