#include "src/archive/archive_list.hpp"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <filesystem>

#include "kernels/errors.hpp"

namespace tramontane {

namespace {

namespace fs = std::filesystem;

std::vector<std::string> matches(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0)  // sorted by name
    for (std::size_t k = 0; k < found.gl_pathc; ++k)
      if (fs::is_regular_file(found.gl_pathv[k])) paths.emplace_back(found.gl_pathv[k]);
  globfree(&found);
  return paths;
}

}  // namespace

std::vector<std::string> expand_archives(const std::vector<std::string>& entries, std::vector<std::string>* repeated) {
  std::vector<std::string> paths;
  const auto add = [&](const std::string& path) {
    std::error_code ignored;
    const bool is_new = std::none_of(paths.begin(), paths.end(),
                                     [&](const std::string& other) { return fs::equivalent(path, other, ignored); });
    if (is_new)
      paths.push_back(path);
    else if (repeated)
      repeated->push_back(path);
  };
  for (const std::string& entry : entries) {
    std::error_code ignored;
    // A file may carry the letters of a pattern in its own name.
    if (fs::exists(entry, ignored) || entry.find_first_of("*?[") == std::string::npos) {
      if (!fs::is_regular_file(entry, ignored))
        throw InputError(fmt::format("learner.archives = {}: there is no such file", entry));
      add(entry);
      continue;
    }
    const std::vector<std::string> found = matches(entry);
    if (found.empty())
      throw InputError(
          fmt::format("learner.archives = {}: no file matches this pattern; check the folder and the name", entry));
    for (const std::string& path : found) add(path);
  }
  return paths;
}

}  // namespace tramontane
