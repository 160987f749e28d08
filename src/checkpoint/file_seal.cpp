#include "src/checkpoint/file_seal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "kernels/checksum.hpp"
#include "kernels/errors.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

namespace {

constexpr std::uint64_t kPiece = 1 << 20;

/// Owner of a file descriptor.
struct Descriptor {
  int number;
  Descriptor(const std::string& path, int flags) : number(open(path.c_str(), flags | O_CLOEXEC)) {
    if (number < 0) throw RunError(fmt::format("cannot open {} ({})", path, std::strerror(errno)));
  }
  ~Descriptor() { close(number); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

void read_all(int file, void* data, std::size_t bytes, std::uint64_t offset, const std::string& path) {
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t count = pread(file, static_cast<char*>(data) + done, bytes - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0)
      throw RunError(fmt::format("cannot read {} ({})", path, count < 0 ? std::strerror(errno) : "it ends early"));
    done += static_cast<std::size_t>(count);
  }
}

std::uint64_t checksum_of(const void* data, std::size_t bytes) {
  Checksum sum;
  sum.add(data, bytes);
  return sum.value();
}

/// The first block: lines of text that carry their own checksum, then zeros.
std::string seal_text(int format, std::uint64_t bytes, std::uint64_t checksum) {
  std::string text =
      fmt::format("tramontane checkpoint\nformat {}\nbytes {}\nchecksum {:016x}\n", format, bytes, checksum);
  text += fmt::format("seal {:016x}\n", checksum_of(text.data(), text.size()));
  text.resize(kSealBytes, '\0');
  return text;
}

}  // namespace

std::uint64_t checksum_behind_seal(const std::string& path, std::uint64_t file_bytes, MPI_Comm comm) {
  int rank = 0, size = 1;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &size);
  const std::uint64_t rest = file_bytes - kSealBytes, pieces = (rest + kPiece - 1) / kPiece;
  std::vector<std::uint64_t> sums(pieces, 0);
  collective_guard(comm, [&] {
    const Descriptor file(path, O_RDONLY);
    std::vector<char> piece(std::min(rest, kPiece));
    for (std::uint64_t k = rank; k < pieces; k += size) {
      const std::uint64_t bytes = std::min(kPiece, rest - k * kPiece);
      read_all(file.number, piece.data(), bytes, kSealBytes + k * kPiece, path);
      sums[k] = checksum_of(piece.data(), bytes);
    }
  });
  MPI_Allreduce(MPI_IN_PLACE, sums.data(), static_cast<int>(pieces), MPI_UINT64_T, MPI_SUM, comm);
  return checksum_of(sums.data(), sums.size() * sizeof sums[0]);
}

void seal_file(const std::string& path, int format, MPI_Comm comm) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  std::uint64_t bytes = 0;
  collective_guard(comm, [&] {
    struct stat info {};
    if (rank != 0) return;
    if (stat(path.c_str(), &info) != 0 || static_cast<std::uint64_t>(info.st_size) < kSealBytes)
      throw RunError(fmt::format("{} is gone or too short", path));
    bytes = static_cast<std::uint64_t>(info.st_size);
  });
  MPI_Bcast(&bytes, 1, MPI_UINT64_T, 0, comm);
  const std::uint64_t checksum = checksum_behind_seal(path, bytes, comm);
  collective_guard(comm, [&] {
    if (rank != 0) return;
    const std::string text = seal_text(format, bytes, checksum);
    const Descriptor file(path, O_WRONLY);
    if (pwrite(file.number, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
        fsync(file.number) != 0)
      throw RunError(fmt::format("cannot write {} ({})", path, std::strerror(errno)));
  });
}

SealCheck check_seal(const std::string& path, MPI_Comm comm) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  SealCheck check;
  std::uint64_t bytes = 0, checksum = 0;
  try {
    std::string head(kSealBytes, '\0');
    collective_guard(comm, [&] {
      if (rank != 0) return;
      const Descriptor file(path, O_RDONLY);
      struct stat info {};
      fstat(file.number, &info);
      if (static_cast<std::uint64_t>(info.st_size) <= kSealBytes) throw RunError("it is cut short");
      read_all(file.number, head.data(), head.size(), 0, path);
      unsigned long long size = 0, sum = 0;
      if (std::sscanf(head.c_str(), "tramontane checkpoint\nformat %d\nbytes %llu\nchecksum %llx\n", &check.format,
                      &size, &sum) != 3)
        throw RunError("it does not begin as a checkpoint does");
      bytes = size;
      checksum = sum;
      if (head != seal_text(check.format, bytes, checksum)) throw RunError("its first block is damaged");
      if (bytes != static_cast<std::uint64_t>(info.st_size))
        throw RunError(fmt::format("it has {} bytes instead of {}", info.st_size, bytes));
    });
    MPI_Bcast(&check.format, 1, MPI_INT, 0, comm);
    MPI_Bcast(&bytes, 1, MPI_UINT64_T, 0, comm);
    MPI_Bcast(&checksum, 1, MPI_UINT64_T, 0, comm);
    check.bytes = bytes;
    check.checksum = checksum;
    if (checksum_behind_seal(path, bytes, comm) != checksum) check.damage = "it does not match its checksum";
  } catch (const RunError& error) {
    check.damage = error.what();
  }
  return check;
}

}  // namespace tramontane
