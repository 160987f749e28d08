#include "src/coupled/read_ahead.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <chrono>
#include <csignal>

#include "kernels/errors.hpp"
#include "kernels/wait_scope.hpp"

namespace tramontane {

ReadAhead::ReadAhead(std::function<Sample(std::int64_t)> read, std::int64_t first, std::int64_t end,
                     std::size_t capacity)
    : read_(std::move(read)), capacity_(capacity) {
  // Signals are the main thread's: it is the one that MPI may interrupt. The new thread inherits the mask.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this, first, end] { run(first, end); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ReadAhead::run(std::int64_t first, std::int64_t end) {
  try {
    for (std::int64_t place = first; place < end; ++place) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stop_ || ready_.size() < capacity_; });
        if (stop_) return;
      }
      Sample sample = read_(place);
      const std::lock_guard lock(mutex_);
      ready_.push_back(std::move(sample));
      changed_.notify_all();
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    error_ = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

Sample ReadAhead::take(double deadline_seconds) {
  const auto began = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  const WaitScope wait("a sample that is read ahead from the archive", MPI_COMM_NULL, WaitScope::kAll,
                       deadline_seconds);
  const bool came = changed_.wait_for(lock, std::chrono::duration<double>(deadline_seconds),
                                      [this] { return !ready_.empty() || ended_; });
  waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  if (!came)
    throw RunError(fmt::format("no sample could be read within {:g} s: is the file system of learner.archives at hand?",
                               deadline_seconds));
  if (ready_.empty()) {
    if (error_) std::rethrow_exception(error_);
    throw RunError("a sample was asked for after the last one");
  }
  Sample sample = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  return sample;
}

}  // namespace tramontane
