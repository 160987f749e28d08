#include "src/preflight/node_facts.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <vector>

namespace tramontane {
namespace {

namespace fs = std::filesystem;

/// A file that holds one number of bytes; the word max and missing files are no limit.
double number_in(const fs::path& file) {
  double value = std::numeric_limits<double>::infinity();
  std::ifstream in(file);
  double read = 0;
  if (in >> read) value = read;
  return value;
}

/// What a control group and those above it still allow.
double room_in_groups(fs::path group, const fs::path& top, const char* limit, const char* used) {
  double room = std::numeric_limits<double>::infinity();
  for (;; group = group.parent_path()) {
    const double most = number_in(group / limit), taken = number_in(group / used);
    if (most < 1e18) room = std::min(room, most - (taken < 1e18 ? taken : 0));  // version 1 writes no limit as 2^63
    if (group == top || group == group.root_path()) return std::max(0.0, room);
  }
}

}  // namespace

MemoryThere memory_there(const fs::path& root) {
  MemoryThere there{std::numeric_limits<double>::infinity(), "memory of the node"};
  std::ifstream meminfo(root / "proc/meminfo");
  for (std::string name, unit; meminfo >> name;) {
    double kib = 0;
    meminfo >> kib;
    std::getline(meminfo, unit);
    if (name == "MemAvailable:") there.bytes = 1024 * kib;
  }
  double room = std::numeric_limits<double>::infinity();
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    // number:controllers:/path; version 2 has no controllers. In a container the path may not be visible: then its top
    // counts.
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool is_second = controllers.empty();
    if (!is_second && controllers.find("memory") == std::string::npos) continue;
    const fs::path top = root / (is_second ? "sys/fs/cgroup" : "sys/fs/cgroup/memory");
    fs::path group = (top / fs::path(line.substr(second + 1)).relative_path()).lexically_normal();
    if (!group.has_filename()) group = group.parent_path();
    if (!fs::exists(group)) group = top;
    room = std::min(room, is_second ? room_in_groups(group, top, "memory.max", "memory.current")
                                    : room_in_groups(group, top, "memory.limit_in_bytes", "memory.usage_in_bytes"));
  }
  if (room < there.bytes) there = {room, "limit of the batch system or container (cgroup)"};
  return there;
}

ProcessorsThere processors_there() {
  ProcessorsThere there;
  there.on_node = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  there.usable = there.on_node;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    there.usable = CPU_COUNT(&set);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &set)) continue;
      int last = cpu;
      while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &set)) ++last;
      there.list += fmt::format("{}{}", there.list.empty() ? "" : ",", cpu);
      if (last > cpu) there.list += fmt::format("-{}", last);
      cpu = last;
    }
  }
  using Threads = int (*)();
  if (const auto threads = reinterpret_cast<Threads>(dlsym(RTLD_DEFAULT, "omp_get_max_threads")))
    there.threads = threads();
  return there;
}

std::string transport_components(const std::string& maps) {
  static const std::regex component("/mca_(pml|mtl|btl)_([a-z0-9]+)\\.so");
  std::map<std::string, std::set<std::string>> found;
  for (std::sregex_iterator match(maps.begin(), maps.end(), component), end; match != end; ++match)
    found[(*match)[1]].insert((*match)[2]);
  std::vector<std::string> texts;
  for (const char* kind : {"pml", "mtl", "btl"})
    if (found.count(kind)) texts.push_back(fmt::format("{} {}", kind, fmt::join(found[kind], " ")));
  return fmt::format("{}", fmt::join(texts, ", "));
}

}  // namespace tramontane
