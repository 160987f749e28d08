#include "src/archive/disk_room.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "kernels/communicator.hpp"
#include "kernels/errors.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

std::string claim_room(const std::string& path, std::int64_t size) {
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return std::strerror(errno);
  std::string reason;
  bool claimed = false;
#ifdef FALLOC_FL_KEEP_SIZE
  int result = 0;
  do result = fallocate(file, FALLOC_FL_KEEP_SIZE, 0, size);
  while (result != 0 && errno == EINTR);
  claimed = result == 0;
  if (!claimed && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) reason = std::strerror(errno);
#endif
  if (!claimed && reason.empty()) {
    struct statvfs disk {};
    struct stat info {};
    if (fstatvfs(file, &disk) == 0 && fstat(file, &info) == 0) {
      const double free_bytes = static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize);
      if (static_cast<double>(size - info.st_size) > free_bytes)
        reason = fmt::format("{:.0f} MB are free, {:.0f} MB are needed", free_bytes / 1e6,
                             static_cast<double>(size - info.st_size) / 1e6);
    }
  }
  ::close(file);
  return reason;
}

std::string file_limit_reason(std::int64_t size) {
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
      static_cast<rlim_t>(size) <= limit.rlim_cur)
    return "";
  return fmt::format("files may not grow beyond {} bytes here (ulimit -f)", static_cast<std::uint64_t>(limit.rlim_cur));
}

void require_room(const std::string& path, MPI_Comm comm, std::int64_t size) {
  collective_guard(comm, [&] {
    std::string reason = file_limit_reason(size);
    if (reason.empty() && rank_in(comm) == 0) {
      std::ofstream(path, std::ios::app).flush();
      reason = claim_room(path, size);
    }
    if (!reason.empty())
      throw RunError(fmt::format("there is no room for {}, which takes {:.1f} MB ({}): make room and run again", path,
                                 1e-6 * static_cast<double>(size), reason));
  });
}

}  // namespace tramontane
