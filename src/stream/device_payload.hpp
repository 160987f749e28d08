/// A sample's numbers that are still in the memory of a device.
#pragma once

#include <span>

namespace tramontane {

/// What StreamProducer::push needs to have a device write them into a frame.
class DevicePayload {
 public:
  virtual ~DevicePayload() = default;
  /// Begins to copy the variables (inputs, then targets), each (owned tiles, T, T), to these places, and returns. Called
  /// again only when the copies before are there.
  virtual void start(std::span<float* const> places) = 0;
  /// Whether all has arrived. Throws RunError when the device failed.
  virtual bool is_there() = 0;
};

}  // namespace tramontane
