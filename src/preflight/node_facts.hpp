/// Memory and processors that a process finds on its node.
#pragma once

#include <filesystem>
#include <string>

namespace tramontane {

struct MemoryThere {
  double bytes = 0;   ///< that can still be had
  std::string limit;  ///< what sets it: "memory of the node" or "limit of the batch system or container (cgroup)"
};
/// The least of what Linux calls available and what the control groups of this process still allow.
/// @param root in place of "/", for tests
MemoryThere memory_there(const std::filesystem::path& root = "/");

struct ProcessorsThere {
  int on_node = 1;   ///< processors that run
  int usable = 1;    ///< of these, that this process may run on
  std::string list;  ///< "0-3,8"
  int threads = 1;   ///< that the network library will use in this process
};
ProcessorsThere processors_there();

/// Names of Open MPI's components that a process has loaded, from the text of its /proc/<pid>/maps: "pml ob1", "btl
/// vader". Components that were not chosen are unloaded again, so these are the ones in use; empty where they are built
/// into the library or another MPI runs.
std::string transport_components(const std::string& maps);

}  // namespace tramontane
