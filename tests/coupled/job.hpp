/// Starts the program as users do, through mpirun, and reads back what a run left.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace tramontane::testing {

/// A folder of its own below the system's temporary one, removed with its owner.
class Scratch {
 public:
  explicit Scratch(const std::string& name);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// Path of an entry.
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  /// Writes a text file and returns its path.
  std::string write(const std::string& name, const std::string& text) const;

 private:
  std::filesystem::path path_;
};

/// How a job ended.
struct Job {
  int code = -1;         ///< exit code of mpirun; 124 when the time limit ended it
  std::string out, err;  ///< what all ranks wrote
};

/// mpirun -n `ranks` tramontane `arguments`, ended after `limit_seconds` so that nothing can hang CTest. The
/// environment of the calling MPI program does not reach the job but for `variable`, "NAME=value". What it writes is
/// kept in `scratch` as <name>.out and <name>.err.
Job run_job(const Scratch& scratch, const std::string& name, int ranks, const std::string& arguments,
            int limit_seconds = 120, const std::string& variable = "");

/// The program's processes of one job: world rank by process number. They are told by the name of their scratch folder
/// on their command line.
std::map<pid_t, int> processes_of(const Scratch& scratch);

/// Looks again and again, for a while; false when it never came true.
template <class Condition>
bool comes_true(const Condition& condition, std::chrono::seconds patience = std::chrono::seconds(60)) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

/// A file system of its own, so small that it fills; needs the right to mount.
class SmallDisk {
 public:
  /// @param size as mount's tmpfs takes it: "160k"
  SmallDisk(const std::string& folder, const std::string& size);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }

 private:
  std::string folder_;
  bool mounted_ = false;
};

std::string read_text(const std::filesystem::path& file);
nlohmann::json read_json(const std::filesystem::path& file);
/// The lines of a metrics file, of one kind if one is named.
std::vector<nlohmann::json> read_metrics(const std::filesystem::path& file, const std::string& kind = "");

/// The bytes of every dataset of an HDF5 file by path, in the file's own type. Attributes are left out: they name the
/// output folder.
std::map<std::string, std::vector<std::byte>> datasets_of(const std::filesystem::path& file);

/// Contents of every file below a folder, by relative path.
std::map<std::string, std::string> contents_of(const std::filesystem::path& folder);

/// A coupled job of seconds: C24 teaches C12 three months of one day, one month is held out, a narrow network is
/// trained in an order that does not depend on timing.
std::string small_deck();

/// One run of the small deck on one solver rank and one learner rank, made when first asked for and left in place for
/// the tests that read its files.
struct SmallRun {
  Scratch scratch{"reference"};
  std::string deck, folder, archive;  ///< paths
  Job job;
  SmallRun();
  nlohmann::json summary() const { return read_json(std::filesystem::path(folder) / "summary.json"); }
};
const SmallRun& small_run();

}  // namespace tramontane::testing
