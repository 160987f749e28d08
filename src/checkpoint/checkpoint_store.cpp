#include "src/checkpoint/checkpoint_store.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "src/checkpoint/file_seal.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

namespace {

namespace fs = std::filesystem;

constexpr const char* kPattern = "checkpoint-{:09}.h5";

/// Steps that a file's name tells; -1 when it is no checkpoint's.
long steps_of(const fs::path& path) {
  long steps = -1;
  int length = 0;
  const std::string name = path.filename().string();
  if (std::sscanf(name.c_str(), "checkpoint-%ld.h5%n", &steps, &length) != 1 ||
      length != static_cast<int>(name.size()) || steps < 0)
    return -1;
  return steps;
}

/// Rank 0's texts on every rank.
std::vector<std::string> broadcast(const std::vector<std::string>& texts, MPI_Comm comm) {
  std::string all = fmt::format("{}", fmt::join(texts, std::string(1, '\0')));
  int header[2] = {static_cast<int>(texts.size()), static_cast<int>(all.size())};
  MPI_Bcast(header, 2, MPI_INT, 0, comm);
  all.resize(header[1]);
  MPI_Bcast(all.data(), header[1], MPI_CHAR, 0, comm);
  std::vector<std::string> out;
  for (std::size_t begin = 0; static_cast<int>(out.size()) < header[0];) {
    const std::size_t end = std::min(all.find('\0', begin), all.size());
    out.push_back(all.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

}  // namespace

std::vector<std::string> list_checkpoints(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (steps_of(entry->path()) >= 0) found.push_back(entry->path().string());
  std::sort(found.begin(), found.end(),
            [](const std::string& a, const std::string& b) { return steps_of(a) > steps_of(b); });
  return found;
}

CheckpointStore::CheckpointStore(const Deck& deck, MPI_Comm comm)
    : deck_(deck), comm_(comm), folder_(deck.output.dir + "/checkpoints") {
  MPI_Comm_rank(comm_, &rank_);
}

std::optional<std::string> CheckpointStore::find() const {
  const std::string& wanted = deck_.checkpoint.resume;
  if (wanted == "none") return std::nullopt;
  const std::string key = deck_.where("checkpoint.resume") + "checkpoint.resume = " + wanted;
  std::vector<std::string> candidates;
  collective_guard(comm_, [&] {
    if (rank_ != 0) return;
    if (wanted == "auto") {
      candidates = list_checkpoints(folder_);
      return;
    }
    if (!fs::exists(wanted)) throw InputError(key + ": there is no such file; name a checkpoint or its folder");
    if (fs::is_directory(wanted)) {
      candidates = list_checkpoints(wanted);
      if (candidates.empty()) throw InputError(key + ": the folder holds no checkpoint-<steps>.h5; name another one");
      return;
    }
    // After the named one its older neighbours, should it be damaged.
    candidates = {wanted};
    for (const std::string& other : list_checkpoints(fs::absolute(wanted).parent_path().string()))
      if (steps_of(other) < steps_of(wanted)) candidates.push_back(other);
  });
  candidates = broadcast(candidates, comm_);
  std::string damages;
  for (std::size_t k = 0; k < candidates.size(); ++k) {
    const std::string& path = candidates[k];
    const SealCheck check = check_seal(path, comm_);
    if (check.damage.empty()) {
      if (check.format != kCheckpointFormat)
        throw InputError(
            fmt::format("{}: {} is a checkpoint of format {}, and this program reads format {}: continue with the "
                        "version that wrote it, or start anew with checkpoint.resume = none",
                        key, path, check.format, kCheckpointFormat));
      return path;
    }
    if (!damages.empty()) damages += ", ";
    damages += fmt::format("{}: {}", path, check.damage);
    if (rank_ == 0 && k + 1 < candidates.size())
      spdlog::warn("the checkpoint {} is damaged ({}): taking the older one", path, check.damage);
  }
  if (!candidates.empty())
    throw InputError(
        fmt::format("{}: no checkpoint is usable ({}); start anew with checkpoint.resume = none", key, damages));
  if (rank_ == 0) spdlog::info("no checkpoint in {}: starting anew", folder_);
  return std::nullopt;
}

void CheckpointStore::open(const std::string& continued, double time_seconds) {
  last_ = continued;
  collective_guard(comm_, [&] {
    if (rank_ != 0) return;
    std::error_code error;
    if (continued.empty() && !list_checkpoints(folder_).empty()) {
      const std::string earlier = folder_ + "-earlier";
      fs::remove_all(earlier, error);
      fs::rename(folder_, earlier, error);
      if (error)
        throw InputError(
            fmt::format("the checkpoints of an earlier run in {} can not be moved to {} ({}): choose "
                        "another output.dir",
                        folder_, earlier, error.message()));
      spdlog::info("the checkpoints of an earlier run are now in {}", earlier);
    }
    fs::create_directories(folder_, error);
    if (error || !fs::is_directory(folder_))
      throw InputError(fmt::format("{}output.dir = {}: the folder {} can not be made ({}): choose another one",
                                   deck_.where("output.dir"), deck_.output.dir, folder_,
                                   error ? error.message() : "a file of that name is in the way"));
  });
  restart_clocks(time_seconds);
}

void CheckpointStore::restart_clocks(double time_seconds) {
  clock_ = MPI_Wtime();
  if (!deck_.checkpoint.every) return;
  const double every = *deck_.checkpoint.every;
  next_time_ = (std::floor((time_seconds + 1e-6) / every) + 1) * every;
}

bool CheckpointStore::is_due_by_clock() const {
  return rank_ == 0 && deck_.checkpoint.minutes && MPI_Wtime() - clock_ >= 60 * *deck_.checkpoint.minutes;
}

bool CheckpointStore::write(const Checkpoint& checkpoint, const ShallowWater& solver, const State& state) {
  const std::string path = folder_ + "/" + fmt::format(kPattern, checkpoint.progress.effort.steps);
  bool written = true;
  try {
    write_checkpoint(path, checkpoint, solver, state);
  } catch (const RunError& error) {
    written = false;
    if (rank_ == 0)
      spdlog::warn("no checkpoint at {:.2f} h, the run goes on: {}{}", checkpoint.progress.time / 3600, error.what(),
                   last_.empty() ? std::string("; there is no earlier one") : "; the last good one is " + last_);
  }
  restart_clocks(checkpoint.progress.time);
  if (!written) return false;
  last_ = path;
  if (rank_ == 0) remove_old(checkpoint.progress.effort.steps);
  return true;
}

void CheckpointStore::remove_old(long steps) const {
  int kept = 0;
  std::error_code ignored;
  for (const std::string& path : list_checkpoints(folder_)) {
    // More steps than the run has taken: of a course that was given up when the run went back to an older checkpoint.
    const bool given_up = steps_of(path) > steps;
    if (given_up || ++kept > deck_.checkpoint.keep) std::filesystem::remove(path, ignored);
  }
}

}  // namespace tramontane
