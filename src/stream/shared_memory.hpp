/// Memory that processes of one machine share.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace tramontane {

/// A mapped POSIX shared memory object. Pages that have been claimed are there, and stay: neither side can fail for
/// want of memory later. It lives until the last process that has mapped it is gone; its name should go (unlink) as
/// soon as all who need it have attached, so that a killed job leaves nothing behind.
class SharedMemory {
 public:
  /// A new object of zeros, of which the first `claimed` bytes are claimed; null, with the reason in `why`, when the
  /// machine has not got them.
  static std::unique_ptr<SharedMemory> create(std::size_t bytes, std::size_t claimed, std::string& why);
  /// Another process's object, to be read only; null when there is none of that name and size here.
  static std::unique_ptr<const SharedMemory> attach(const std::string& name, std::size_t bytes);
  /// Claims pages of an object that still has its name, near the caller: a page lies where it was first asked for.
  /// Leaves an eighth of the machine's shared memory to others. Returns why that cannot be; empty: they are there.
  static std::string claim(const std::string& name, std::size_t first, std::size_t bytes);
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory();

  const std::string& name() const { return name_; }
  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }
  /// Takes the name away; who has attached keeps the memory.
  void unlink();

 private:
  SharedMemory(std::string name, std::byte* data, std::size_t bytes, bool owner)
      : name_(std::move(name)), data_(data), bytes_(bytes), is_named_(owner) {}
  std::string name_;
  std::byte* data_;
  std::size_t bytes_;
  bool is_named_;  ///< the name is ours to take away
};

}  // namespace tramontane
