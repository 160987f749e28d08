#include "src/stream/shared_memory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

namespace tramontane {

namespace {

/// Not ftruncate alone: pages that are not there would be missed by a bus error in the middle of the run.
int claim_pages(int file, std::size_t first, std::size_t bytes) {
  // In one call: it fails before it takes anything where the machine has not got all of it.
  int result = 0;
  do result = bytes == 0 ? 0 : posix_fallocate(file, static_cast<off_t>(first), static_cast<off_t>(bytes));
  while (result == EINTR);
  return result;
}

}  // namespace

std::string SharedMemory::claim(const std::string& name, std::size_t first, std::size_t bytes) {
  const int file = shm_open(name.c_str(), O_RDWR, 0);
  if (file < 0) return std::strerror(errno);
  struct statvfs there {};
  std::string why;
  const auto unit = [&] { return static_cast<double>(there.f_frsize); };
  if (fstatvfs(file, &there) == 0 && static_cast<double>(bytes) > unit() * (static_cast<double>(there.f_bavail) -
                                                                            static_cast<double>(there.f_blocks) / 8))
    why = fmt::format("{:.3g} GB of shared memory are needed and {:.3g} of {:.3g} are free",
                      1e-9 * static_cast<double>(bytes), 1e-9 * unit() * static_cast<double>(there.f_bavail),
                      1e-9 * unit() * static_cast<double>(there.f_blocks));
  else if (const int result = claim_pages(file, first, bytes); result != 0)
    why = std::strerror(result);
  close(file);
  return why;
}

std::unique_ptr<SharedMemory> SharedMemory::create(std::size_t bytes, std::size_t claimed, std::string& why) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
  const std::string name = fmt::format("/tramontane-{}-{:x}", getpid(), now);
  const int file = shm_open(name.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
  if (file < 0) {
    why = std::strerror(errno);
    return nullptr;
  }
  int result = claim_pages(file, 0, claimed);
  if (result == 0 && ftruncate(file, static_cast<off_t>(bytes)) != 0) result = errno;
  void* data = MAP_FAILED;
  if (result == 0) {
    data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (data == MAP_FAILED) result = errno;
  }
  close(file);
  if (result != 0) {
    shm_unlink(name.c_str());
    why = std::strerror(result);
    return nullptr;
  }
  return std::unique_ptr<SharedMemory>(new SharedMemory(name, static_cast<std::byte*>(data), bytes, true));
}

std::unique_ptr<const SharedMemory> SharedMemory::attach(const std::string& name, std::size_t bytes) {
  const int file = shm_open(name.c_str(), O_RDONLY, 0);
  if (file < 0) return nullptr;
  struct stat info {};
  void* data = MAP_FAILED;
  if (fstat(file, &info) == 0 && static_cast<std::size_t>(info.st_size) == bytes)
    data = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (data == MAP_FAILED) return nullptr;
  return std::unique_ptr<const SharedMemory>(new SharedMemory(name, static_cast<std::byte*>(data), bytes, false));
}

void SharedMemory::unlink() {
  if (is_named_) shm_unlink(name_.c_str());
  is_named_ = false;
}

SharedMemory::~SharedMemory() {
  unlink();
  munmap(data_, bytes_);
}

}  // namespace tramontane
