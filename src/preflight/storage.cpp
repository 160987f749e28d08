#include "src/preflight/storage.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <random>
#include <thread>

#include "kernels/wait_scope.hpp"

namespace tramontane {
namespace {

namespace fs = std::filesystem;

constexpr double kAllBytes = 4e9, kLeastBytes = 1 << 20, kMostBytes = 16 << 20;
constexpr std::size_t kBlock = 1 << 20;
constexpr double kMarkSeconds = 5;  // for a mark to become visible on other nodes: network file systems cache folders

/// A file of this process's own, removed at the end.
class ProbeFile {
 public:
  ProbeFile(const fs::path& folder, int rank)
      : path_(folder / fmt::format(".tramontane-preflight-{}-{}", rank, getpid())),
        file_(open(path_.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600)) {}
  ~ProbeFile() {
    if (file_ >= 0) close(file_);
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  ProbeFile(const ProbeFile&) = delete;
  ProbeFile& operator=(const ProbeFile&) = delete;

  bool is_open() const { return file_ >= 0; }

  /// Throws std::system_error.
  void write_blocks(int blocks, std::uint64_t seed) {
    for (int k = 0; k < blocks; ++k) {
      const auto block = make_block(seed + static_cast<std::uint64_t>(k));
      for (std::size_t done = 0; done < kBlock;) done += step(::write(file_, block.data() + done, kBlock - done));
    }
    step(fsync(file_));
  }
  /// False when other bytes came back.
  bool read_blocks(int blocks, std::uint64_t seed) {
    posix_fadvise(file_, 0, 0, POSIX_FADV_DONTNEED);
    step(static_cast<ssize_t>(lseek(file_, 0, SEEK_SET)));
    std::vector<char> read(kBlock);
    bool equal = true;
    for (int k = 0; k < blocks; ++k) {
      for (std::size_t done = 0; done < kBlock;) {
        const std::size_t size = step(::read(file_, read.data() + done, kBlock - done));
        if (size == 0) return false;
        done += size;
      }
      equal = equal && read == make_block(seed + static_cast<std::uint64_t>(k));
    }
    return equal;
  }

 private:
  /// Not compressible, so that a file system can not cheat.
  static std::vector<char> make_block(std::uint64_t seed) {
    std::vector<char> block(kBlock);
    std::mt19937_64 random(seed);
    for (std::size_t k = 0; k < kBlock; k += 8) {
      const std::uint64_t bytes = random();
      std::memcpy(&block[k], &bytes, 8);
    }
    return block;
  }
  static std::size_t step(ssize_t result) {
    if (result < 0) throw std::system_error(errno, std::generic_category());
    return static_cast<std::size_t>(result);
  }

  fs::path path_;
  int file_;
};

/// Rank 0's mark, with a random content.
std::uint64_t read_mark(const fs::path& file) {
  std::uint64_t content = 0;
  std::ifstream(file) >> content;
  return content;
}

/// Texts of all ranks, on rank 0.
std::vector<std::string> gather_texts(const std::string& own, MPI_Comm comm, int ranks) {
  constexpr int kWidth = 256;
  std::array<char, kWidth> mine{};
  std::copy_n(own.begin(), std::min<std::size_t>(own.size(), kWidth - 1), mine.begin());
  std::vector<char> all(static_cast<std::size_t>(kWidth * ranks));
  MPI_Gather(mine.data(), kWidth, MPI_CHAR, all.data(), kWidth, MPI_CHAR, 0, comm);
  std::vector<std::string> texts;
  for (int rank = 0; rank < ranks; ++rank) texts.emplace_back(&all[static_cast<std::size_t>(kWidth * rank)]);
  return texts;
}

}  // namespace

bool StorageReport::good() const {
  return std::all_of(obstacles.begin(), obstacles.end(), [](const std::string& text) { return text.empty(); });
}

fs::path existing_folder(const fs::path& folder) {
  std::error_code error;
  fs::path existing = fs::absolute(folder, error).lexically_normal();
  while (!fs::exists(existing, error) && existing != existing.root_path()) existing = existing.parent_path();
  return existing;
}

StorageReport try_storage(const fs::path& folder, MPI_Comm comm) {
  int rank = 0, ranks = 1;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &ranks);
  StorageReport report;
  report.folder = folder;
  const auto blocks = static_cast<int>(std::clamp(kAllBytes / ranks, kLeastBytes, kMostBytes) / kBlock);
  report.bytes = static_cast<double>(blocks) * kBlock * ranks;

  // One folder for all?
  unsigned long long mark = (static_cast<unsigned long long>(std::random_device{}()) << 16) | 1u;
  const fs::path mark_file = folder / fmt::format(".tramontane-preflight-mark-{}", getpid());
  if (rank == 0 && !(std::ofstream(mark_file) << mark << std::flush)) mark = 0;  // its own file will say why
  std::array<char, 4096> name{};
  if (rank == 0)
    std::copy_n(mark_file.string().begin(), std::min(mark_file.string().size(), name.size() - 1), name.begin());
  MPI_Bcast(&mark, 1, MPI_UNSIGNED_LONG_LONG, 0, comm);
  MPI_Bcast(name.data(), static_cast<int>(name.size()), MPI_CHAR, 0, comm);
  const auto began = std::chrono::steady_clock::now();
  const auto waited = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(); };
  bool sees_mark = mark == 0 || read_mark(name.data()) == mark;
  while (!sees_mark && waited() < kMarkSeconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    sees_mark = read_mark(name.data()) == mark;
  }
  std::string obstacle;

  double times[2] = {0, 0};
  {
    const WaitScope wait("files written and read in " + folder.string());
    errno = 0;
    ProbeFile file(folder, rank);
    if (!file.is_open()) obstacle = fmt::format("can not make a file there: {}", std::strerror(errno));
    if (obstacle.empty() && !sees_mark) obstacle = "does not see rank 0's file there: the folder is not shared";
    for (const bool writes : {true, false}) {
      MPI_Barrier(comm);  // all at once
      const double start = MPI_Wtime();
      try {
        if (obstacle.empty() && writes) file.write_blocks(blocks, 1000003ull * static_cast<unsigned>(rank));
        if (obstacle.empty() && !writes && !file.read_blocks(blocks, 1000003ull * static_cast<unsigned>(rank)))
          obstacle = "other bytes came back than were written";
      } catch (const std::exception& error) {
        obstacle = fmt::format("{} failed: {}", writes ? "writing" : "reading", error.what());
      }
      times[writes ? 0 : 1] = MPI_Wtime() - start;
    }
  }
  std::vector<double> all(2 * static_cast<std::size_t>(ranks));
  MPI_Gather(times, 2, MPI_DOUBLE, all.data(), 2, MPI_DOUBLE, 0, comm);
  double mean = 0;
  for (int r = 0; rank == 0 && r < ranks; ++r) {
    const double write = all[2 * static_cast<std::size_t>(r)];
    mean += write / ranks;
    if (write > report.write_seconds) report.slowest = r;
    report.write_seconds = std::max(report.write_seconds, write);
    report.read_seconds = std::max(report.read_seconds, all[2 * static_cast<std::size_t>(r) + 1]);
  }
  if (mean > 0) report.slowest_share = report.write_seconds / mean;
  report.obstacles = gather_texts(obstacle, comm, ranks);
  std::error_code error;
  if (rank == 0) {
    fs::remove(mark_file, error);
    report.free_bytes = static_cast<double>(fs::space(folder, error).available);
  }
  return report;
}

}  // namespace tramontane
