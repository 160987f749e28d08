/// A sample on this rank's tiles: made on the device, and its way out of there.
#pragma once

#include <memory>
#include <vector>

#include "kernels/device_copy.hpp"
#include "physics/sample_pack.hpp"
#include "src/stream/device_payload.hpp"

namespace tramontane {

/// One sample after the other, each between a finish() and the next begin(). Variables are inputs, then targets, each
/// (owned tiles, T, T).
///
/// Where the host reads the kernels' memory nothing is made before it is asked for: write() has the kernel write where
/// the numbers are wanted. On a device the sample is made at once, in an array of its own that leaves either by start(),
/// to memory of the caller's, or by on_host(), to a buffer.
class SampleTiles : public DevicePayload {
 public:
  /// @param coarse the coarse solver
  /// @param deadline_seconds longest wait for the device
  SampleTiles(const ShallowWater& coarse, double deadline_seconds);

  SampleInfo info;

  /// Keeps the state of the coarse solver at the sample's time, which it is about to leave.
  void begin(const SampleInfo& sample, const State& start);
  /// The coarse solver has come to `end` and the coarse-grained fine one to `truth`, after `seconds`. Both must stay until
  /// the sample has been used.
  void finish(const State& end, const State& truth, double seconds);

  /// Makes the sample there. Only where kHostReadsKernelMemory; on_host() then reads it there.
  void write(std::span<float* const> variables);
  /// The variables on the host. Waits for the copy, if there is one; throws RunError past the deadline.
  const std::vector<const float*>& on_host();
  /// Takes the buffer of on_host(), which it otherwise does when first called. Returns why its pages are not locked for
  /// the device; empty: they are, or there is no device.
  std::string lock_buffer();

  void start(std::span<float* const> places) override;
  bool is_there() override { return copy_.is_done(); }

 private:
  void make(std::span<float* const> variables);
  void take_buffer();

  SamplePack pack_;
  double deadline_;
  State start_, end_, truth_;
  double seconds_ = 0;
  View<float*> device_;        ///< (variable, owned tiles, T, T) on a device
  std::vector<float> buffer_;  ///< the same on the host, once it is needed
  std::unique_ptr<PageLock> page_lock_;
  std::vector<float*> in_buffer_;
  std::vector<const float*> on_host_;  ///< empty: the sample is not there yet
  DeviceCopy copy_;                    ///< the last member: it ends before the arrays go
};

}  // namespace tramontane
