#include "src/archive/truncated_file.hpp"

#include <fcntl.h>
#include <hdf5.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#if __has_include(<H5FDdevelop.h>)
#include <H5FDdevelop.h>  // where the drivers' structures moved to in HDF5 1.14
#endif

namespace tramontane::hdf5 {

namespace {

constexpr haddr_t kLargest = haddr_t{1} << 62;

struct PaddedFile {
  H5FD_t base;  // HDF5 sees this only
  int descriptor = -1;
  haddr_t end_of_addresses = 0;
  dev_t device = 0;
  ino_t inode = 0;
  std::function<bool()> is_unchanged;  // empty: the file does not change
};

/// What the next file to be opened is to be guarded by: HDF5 hands drivers no owners of C++ objects. All calls of HDF5 are
/// made under one lock (library_lock).
std::function<bool()> next_guard;

PaddedFile* padded(H5FD_t* file) {
  return reinterpret_cast<PaddedFile*>(file);
}
const PaddedFile* padded(const H5FD_t* file) {
  return reinterpret_cast<const PaddedFile*>(file);
}

H5FD_t* open_padded(const char* name, unsigned flags, hid_t, haddr_t) {
  if (flags & H5F_ACC_RDWR) return nullptr;
  auto file = std::make_unique<PaddedFile>();
  std::memset(&file->base, 0, sizeof file->base);
  file->descriptor = ::open(name, O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (file->descriptor < 0 || fstat(file->descriptor, &info) != 0) return nullptr;
  file->device = info.st_dev;
  file->inode = info.st_ino;
  file->is_unchanged = std::exchange(next_guard, nullptr);
  return &file.release()->base;
}

herr_t close_padded(H5FD_t* file) {
  ::close(padded(file)->descriptor);
  delete padded(file);
  return 0;
}

int compare_padded(const H5FD_t* a, const H5FD_t* b) {
  const PaddedFile *x = padded(a), *y = padded(b);
  if (x->device != y->device) return x->device < y->device ? -1 : 1;
  return x->inode == y->inode ? 0 : x->inode < y->inode ? -1 : 1;
}

herr_t read_padded(H5FD_t* file, H5FD_mem_t kind, hid_t, haddr_t address, std::size_t size, void* buffer) {
  for (std::size_t done = 0; done < size;) {
    const ssize_t count = pread(padded(file)->descriptor, static_cast<char*>(buffer) + done, size - done,
                                static_cast<off_t>(address + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    if (count == 0) {
      std::memset(static_cast<char*>(buffer) + done, 0, size - done);
      break;
    }
    done += static_cast<std::size_t>(count);
  }
  if (kind != H5FD_MEM_DRAW && padded(file)->is_unchanged && !padded(file)->is_unchanged()) return -1;
  return 0;
}

/// The driver, registered once; member by member, because the structure has grown from version to version.
hid_t driver() {
  static const hid_t id = [] {
    static H5FD_class_t c;
    std::memset(&c, 0, sizeof c);
#ifdef H5FD_CLASS_VERSION
    c.version = H5FD_CLASS_VERSION;
    c.value = static_cast<H5FD_class_value_t>(600);  // of those left to applications
#endif
    c.name = "tramontane_padded";
    c.maxaddr = kLargest;
    c.fc_degree = H5F_CLOSE_WEAK;
    c.open = open_padded;
    c.close = close_padded;
    c.cmp = compare_padded;
    c.query = [](const H5FD_t*, unsigned long* flags) -> herr_t {
      if (flags) *flags = 0;
      return 0;
    };
    c.get_eoa = [](const H5FD_t* file, H5FD_mem_t) { return padded(file)->end_of_addresses; };
    c.set_eoa = [](H5FD_t* file, H5FD_mem_t, haddr_t address) -> herr_t {
      padded(file)->end_of_addresses = address;
      return 0;
    };
    // As long as any file can be: this is what HDF5 compares the length in the superblock with.
    c.get_eof = [](const H5FD_t*, H5FD_mem_t) { return kLargest; };
    c.read = read_padded;
    c.write = [](H5FD_t*, H5FD_mem_t, hid_t, haddr_t, std::size_t, const void*) -> herr_t { return -1; };
    const H5FD_mem_t map[] = H5FD_FLMAP_DICHOTOMY;
    std::memcpy(c.fl_map, map, sizeof map);
    return H5FDregister(&c);
  }();
  return check(id, "cannot register a file driver");
}

}  // namespace

Handle open_truncated_file(const std::string& path) {
  const Handle access = property_list(H5P_FILE_ACCESS);
  check(H5Pset_driver(access, driver(), nullptr), "cannot choose a file driver");
  return open_file(path, H5F_ACC_RDONLY, access);
}

Handle open_changing_file(const std::string& path, std::function<bool()> is_unchanged) {
  next_guard = std::move(is_unchanged);
  return open_truncated_file(path);
}

}  // namespace tramontane::hdf5
