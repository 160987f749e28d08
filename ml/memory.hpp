/// Where the arrays of a network live: in host memory or in that of the build's device, as its back end says at run
/// time. Where the build has no device the two are one.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "kernels/types.hpp"
#include "ml/backend.hpp"

namespace tramontane {

/// Calls f(execution space) with the space that works on `memory`, on its default instance: kernels run in the order
/// of their calls, on a device after the host has moved on.
template <class Function>
void in_space(Memory memory, const Function& f) {
  if constexpr (!std::is_same_v<ExecutionSpace, Kokkos::DefaultHostExecutionSpace>)
    if (memory == Memory::device) return f(ExecutionSpace());
  f(Kokkos::DefaultHostExecutionSpace());
}

/// An array in either memory, zero at first. Copies share it.
template <class T>
class MemoryBuffer {
 public:
  MemoryBuffer() = default;
  MemoryBuffer(const std::string& label, std::size_t size, Memory memory) : memory_(memory) {
    if (memory == Memory::host)
      host_ = HostArray(label, size);
    else
      device_ = DeviceArray(label, size);
  }
  Memory memory() const { return memory_; }
  std::size_t size() const { return memory_ == Memory::host ? host_.size() : device_.size(); }
  T* data() const { return memory_ == Memory::host ? host_.data() : device_.data(); }

  /// Copies `count` elements from or to host memory and waits for it.
  void copy_from_host(const T* from, std::size_t count) {
    in_space(memory_, [&](auto space) { copy<decltype(space)>(Host(from, count), data(), count); });
  }
  void copy_to_host(T* to, std::size_t count) const {
    in_space(memory_, [&](auto space) {
      using Space = typename decltype(space)::memory_space;
      Kokkos::deep_copy(HostView1(to, count), Unmanaged<const T, Space>(data(), count));
    });
  }

 private:
  template <class U, class Space>
  using Unmanaged = Kokkos::View<U*, Kokkos::LayoutRight, Space, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  using Host = Unmanaged<const T, HostSpace>;
  using HostView1 = Unmanaged<T, HostSpace>;
  using HostArray = Kokkos::View<T*, Kokkos::LayoutRight, HostSpace>;
  using DeviceArray = Kokkos::View<T*, Kokkos::LayoutRight, MemorySpace>;
  template <class Space>
  static void copy(const Host& from, T* to, std::size_t count) {
    Kokkos::deep_copy(Unmanaged<T, typename Space::memory_space>(to, count), from);
  }

  Memory memory_ = Memory::host;
  HostArray host_;
  DeviceArray device_;
};

/// A buffer that holds the values.
template <class T>
MemoryBuffer<T> copied(const std::string& label, const std::vector<T>& values, Memory memory) {
  MemoryBuffer<T> buffer(label, values.size(), memory);
  buffer.copy_from_host(values.data(), values.size());
  return buffer;
}

}  // namespace tramontane
