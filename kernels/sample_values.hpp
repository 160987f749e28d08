/// The numbers of a sample.
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

namespace tramontane {

/// Memory from a cache line on, as in frames: copies between lines that begin alike are twice as fast as others where
/// memory is the limit (docs/design/stream.md).
template <class T>
struct CacheLineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};

  CacheLineAllocator() = default;
  template <class U>
  CacheLineAllocator(const CacheLineAllocator<U>&) {}
  T* allocate(std::size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), kLine)); }
  void deallocate(T* memory, std::size_t) { ::operator delete(memory, kLine); }
  friend bool operator==(const CacheLineAllocator&, const CacheLineAllocator&) { return true; }
};

/// Floats one after the other: in memory of their own, as a vector has them, or lent, to be read only, by who keeps
/// them elsewhere (a frame of the stream). A copy has memory of its own, and so has whoever writes: what is lent is
/// copied first: read a lent one as const.
class SampleValues {
 public:
  SampleValues() = default;
  SampleValues(std::initializer_list<float> values) : own_(values) {}
  explicit SampleValues(std::size_t count, float value = 0) : own_(count, value) {}
  SampleValues(const SampleValues& other) : own_(other.begin(), other.end()) {}
  SampleValues(SampleValues&&) = default;
  SampleValues& operator=(const SampleValues& other) {
    if (this == &other) return *this;
    own_.assign(other.begin(), other.end());
    give_back();
    return *this;
  }
  SampleValues& operator=(SampleValues&&) = default;
  ~SampleValues() = default;

  /// From now on these; `owner` keeps them alive. Memory of its own is given back.
  void lend(std::span<const float> values, std::shared_ptr<const void> owner) {
    lent_ = values;
    owner_ = std::move(owner);
    own_ = {};
  }
  bool is_lent() const { return owner_ != nullptr; }

  std::size_t size() const { return is_lent() ? lent_.size() : own_.size(); }
  bool empty() const { return size() == 0; }
  const float* data() const { return is_lent() ? lent_.data() : own_.data(); }
  const float* begin() const { return data(); }
  const float* end() const { return data() + size(); }
  const float& operator[](std::size_t k) const { return data()[k]; }
  const float& back() const { return end()[-1]; }
  operator std::span<const float>() const { return {data(), size()}; }
  friend bool operator==(const SampleValues& a, const SampleValues& b) { return std::ranges::equal(a, b); }

  float* data() { return own().data(); }
  float* begin() { return data(); }
  float* end() { return data() + size(); }
  float& operator[](std::size_t k) { return own()[k]; }
  float& back() { return own().back(); }
  void resize(std::size_t count) { own().resize(count); }
  void push_back(float value) { own().push_back(value); }
  template <class Iterator>
  void assign(Iterator first, Iterator last) {
    own_.assign(first, last);
    give_back();
  }
  void assign(std::size_t count, float value) {
    own_.assign(count, value);
    give_back();
  }
  /// Behind the last one.
  template <class Range>
  void append(const Range& values) {
    own().insert(own_.end(), std::begin(values), std::end(values));
  }

 private:
  using Own = std::vector<float, CacheLineAllocator<float>>;

  Own& own() {
    if (is_lent()) {
      own_.assign(lent_.begin(), lent_.end());
      give_back();
    }
    return own_;
  }
  void give_back() {
    lent_ = {};
    owner_ = nullptr;
  }

  Own own_;  ///< empty while values are lent
  std::span<const float> lent_;
  std::shared_ptr<const void> owner_;  ///< of lent_; null: the values are our own
};

}  // namespace tramontane
