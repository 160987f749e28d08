#include "src/checkpoint/sample_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernels/checksum.hpp"
#include "kernels/errors.hpp"
#include "kernels/tiling.hpp"

namespace tramontane {

namespace {

constexpr std::size_t kInfoBytes = 32, kSumBytes = 8;

std::size_t cells_of(int n) {
  return static_cast<std::size_t>(kPanels) * n * n;
}
std::size_t payload_bytes(int n) {
  return (sample_inputs().size() + sample_targets().size()) * cells_of(n) * sizeof(float);
}

std::string head_of(int n) {
  std::string head = fmt::format("tramontane samples\nformat 1\nn {}\nrecord {}\n", n,
                                 kInfoBytes + payload_bytes(n) + kSumBytes);
  head.resize(kSampleStoreHead, '\0');
  return head;
}

std::uint64_t sum_of(const std::vector<char>& record) {
  Checksum sum;
  sum.add(record.data(), record.size() - kSumBytes);
  return sum.value();
}

[[noreturn]] void fail(const std::string& what, const std::string& path) {
  throw RunError(fmt::format("cannot {} {} ({})", what, path, std::strerror(errno)));
}

void write_all(int file, const char* data, std::size_t bytes, std::int64_t offset, const std::string& path) {
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t count = pwrite(file, data + done, bytes - done, static_cast<off_t>(offset) + static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail("write", path);
    done += static_cast<std::size_t>(count);
  }
}

/// False when the file ends first.
bool read_all(int file, char* data, std::size_t bytes, std::int64_t offset, const std::string& path) {
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t count = pread(file, data + done, bytes - done, static_cast<off_t>(offset) + static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("read", path);
    if (count == 0) return false;
    done += static_cast<std::size_t>(count);
  }
  return true;
}

}  // namespace

SampleStore::SampleStore(std::string path, int n, std::int64_t records)
    : path_(std::move(path)), n_(n), records_(records), record_(static_cast<std::size_t>(record_bytes())) {
  file_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0) fail("open", path_);
  try {
    const std::string head = head_of(n_);
    struct stat info {};
    if (fstat(file_, &info) != 0) fail("look at", path_);
    if (records_ == 0) {
      write_all(file_, head.data(), head.size(), 0, path_);
      return;
    }
    std::string found(head.size(), '\0');
    if (!read_all(file_, found.data(), found.size(), 0, path_) || found != head)
      throw RunError(fmt::format("{} does not begin as a file of samples of C{} does", path_, n_));
    const std::int64_t wanted = kSampleStoreHead + records_ * record_bytes();
    if (info.st_size < wanted)
      throw RunError(fmt::format("{} has {} bytes, and {} samples take {}", path_, info.st_size, records_, wanted));
  } catch (...) {
    close(file_);
    throw;
  }
}

SampleStore::~SampleStore() {
  close(file_);
}

std::int64_t SampleStore::record_bytes() const {
  return static_cast<std::int64_t>(kInfoBytes + payload_bytes(n_) + kSumBytes);
}

std::int64_t SampleStore::append(const Sample& sample) {
  char* at = record_.data();
  const auto put = [&at](const auto* values, std::size_t count) {
    std::memcpy(at, values, count * sizeof *values);
    at += count * sizeof *values;
  };
  if (sample.n != n_ || (sample.input.size() + sample.target.size()) * sizeof(float) != payload_bytes(n_))
    throw RunError(fmt::format("{} holds samples of C{}, and sample {} is another size", path_, n_, sample.info.number));
  const std::int32_t marks[] = {sample.info.trajectory, sample.info.validation, sample.info.month, 0};
  put(&sample.info.number, 1);
  put(marks, 4);
  put(&sample.info.time, 1);
  put(sample.input.data(), sample.input.size());
  put(sample.target.data(), sample.target.size());
  const std::uint64_t sum = sum_of(record_);
  put(&sum, 1);
  const std::int64_t end = kSampleStoreHead + records_ * record_bytes();
  // What lies there is of a course that was given up, or of an append that failed.
  struct stat info {};
  if (fstat(file_, &info) != 0 || (info.st_size > end && ftruncate(file_, end) != 0)) fail("cut", path_);
  write_all(file_, record_.data(), record_.size(), end, path_);
  return records_++;
}

void SampleStore::sync() {
  if (fsync(file_) != 0) fail("bring to the disk", path_);
}

Sample SampleStore::read(std::int64_t record, std::int64_t number) const {
  std::vector<char> bytes(static_cast<std::size_t>(record_bytes()));
  std::uint64_t sum = 0;
  const auto refuse = [&](const std::string& why) {
    throw RunError(fmt::format("record {} of {} {}", record, path_, why));
  };
  if (record < 0 || record >= records_ ||
      !read_all(file_, bytes.data(), bytes.size(), kSampleStoreHead + record * record_bytes(), path_))
    refuse("is not there");
  std::memcpy(&sum, bytes.data() + bytes.size() - kSumBytes, kSumBytes);
  if (sum != sum_of(bytes)) refuse("does not match its checksum");
  Sample sample;
  const char* at = bytes.data();
  const auto take = [&at](auto* values, std::size_t count) {
    std::memcpy(values, at, count * sizeof *values);
    at += count * sizeof *values;
  };
  std::int32_t marks[4];
  take(&sample.info.number, 1);
  take(marks, 4);
  take(&sample.info.time, 1);
  sample.info.trajectory = marks[0];
  sample.info.validation = marks[1];
  sample.info.month = marks[2];
  if (sample.info.number != number) refuse(fmt::format("is sample {}, not {}", sample.info.number, number));
  sample.n = n_;
  sample.input.resize(sample_inputs().size() * cells_of(n_));
  sample.target.resize(sample_targets().size() * cells_of(n_));
  take(sample.input.data(), sample.input.size());
  take(sample.target.data(), sample.target.size());
  return sample;
}

}  // namespace tramontane
