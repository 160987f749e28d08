#include "src/checkpoint/numbered_files.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "kernels/errors.hpp"

namespace tramontane {

namespace fs = std::filesystem;

std::string NumberedFiles::path(const std::string& folder, long steps) const {
  return fmt::format("{}/{}-{:09}.h5", folder, prefix_, steps);
}

long NumberedFiles::steps_of(const std::string& path) const {
  const std::string name = fs::path(path).filename().string(), start = prefix_ + "-";
  if (!name.starts_with(start)) return -1;
  long steps = -1;
  int length = 0;
  const std::string rest = name.substr(start.size());
  if (std::sscanf(rest.c_str(), "%ld.h5%n", &steps, &length) != 1 || length != static_cast<int>(rest.size()))
    return -1;
  return steps < 0 ? -1 : steps;
}

std::vector<std::string> NumberedFiles::list(const std::string& folder) const {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (steps_of(entry->path().string()) >= 0) found.push_back(entry->path().string());
  std::sort(found.begin(), found.end(),
            [this](const std::string& a, const std::string& b) { return steps_of(a) > steps_of(b); });
  return found;
}

void NumberedFiles::open(const Deck& deck, const std::string& folder, bool continues, const std::string& what) const {
  std::error_code error;
  if (!continues && !list(folder).empty()) {
    const std::string earlier = folder + "-earlier";
    fs::remove_all(earlier, error);
    fs::rename(folder, earlier, error);
    if (error)
      throw InputError(fmt::format(
          "the checkpoints of an earlier {} in {} can not be moved to {} ({}): choose another output.dir", what, folder,
          earlier, error.message()));
    spdlog::info("the checkpoints of an earlier {} are now in {}", what, earlier);
  }
  fs::create_directories(folder, error);
  if (error || !fs::is_directory(folder))
    throw InputError(fmt::format("{}output.dir = {}: the folder {} can not be made ({}): choose another one",
                                 deck.where("output.dir"), deck.output.dir, folder,
                                 error ? error.message() : "a file of that name is in the way"));
}

void NumberedFiles::remove_old(const std::string& folder, long steps, int keep) const {
  int kept = 0;
  std::error_code ignored;
  for (const std::string& path : list(folder))
    if (steps_of(path) > steps || ++kept > keep) fs::remove(path, ignored);
}

}  // namespace tramontane
