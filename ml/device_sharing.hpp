/// Which ranks work on one GPU. NCCL refuses to reduce between two of them, so this is asked before it is started.
#pragma once

#include <mpi.h>

#include <string>
#include <vector>

namespace tramontane {

/// Two ranks with the same device.
struct SharedDevice {
  int first = -1, second = -1;  ///< -1: no two ranks share one
  std::string device;
  explicit operator bool() const { return first >= 0; }
};

/// The first rank that has a device another rank before it has too. `devices[rank]` names the host and the device's
/// place in it.
SharedDevice find_shared_device(const std::vector<std::string>& devices);

/// Everybody's text, by rank; texts are cut to 255 bytes. Collective. Throws RunError past the deadline.
std::vector<std::string> gather_texts(const std::string& text, MPI_Comm comm, double deadline_seconds);

}  // namespace tramontane
