/// Reads samples in a thread of its own before they are needed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "kernels/sample.hpp"

namespace tramontane {

/// The thread touches neither MPI nor the network; HDF5 only through `read`, which holds the library's lock.
class ReadAhead {
 public:
  /// @param read gives the sample at a place of the sequence; called from the thread, in order, from `first` to `end` - 1
  /// @param capacity samples that are kept ready at most
  ReadAhead(std::function<Sample(std::int64_t)> read, std::int64_t first, std::int64_t end, std::size_t capacity);
  /// Ends the thread after the sample it is reading.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  /// The next sample in order. Throws what reading it threw; RunError when it is not there after `deadline_seconds`.
  Sample take(double deadline_seconds);
  double wait_seconds() const { return waited_; }

 private:
  void run(std::int64_t first, std::int64_t end);

  std::function<Sample(std::int64_t)> read_;
  std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Sample> ready_;
  std::exception_ptr error_;
  bool ended_ = false, stop_ = false;
  double waited_ = 0;  ///< s, of the taker
  std::thread thread_;  // last: it uses the others
};

}  // namespace tramontane
