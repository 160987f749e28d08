#include "src/checkpoint/checkpoint_store.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "src/checkpoint/file_seal.hpp"
#include "src/checkpoint/numbered_files.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

namespace {

namespace fs = std::filesystem;

const NumberedFiles kFiles("checkpoint");

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
  return kFiles.list(folder);
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
      if (kFiles.steps_of(other) < kFiles.steps_of(wanted)) candidates.push_back(other);
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
    kFiles.open(deck_, folder_, !continued.empty(), "run");
  });
  restart_clocks(time_seconds);
}

void CheckpointStore::restart_clocks(double time_seconds) {
  clock_ = MPI_Wtime();
  if (!deck_.checkpoint_every()) return;
  const double every = *deck_.checkpoint_every();
  next_time_ = (std::floor((time_seconds + 1e-6) / every) + 1) * every;
}

bool CheckpointStore::is_due_by_clock() const {
  return rank_ == 0 && deck_.checkpoint.minutes && MPI_Wtime() - clock_ >= 60 * *deck_.checkpoint.minutes;
}

bool CheckpointStore::write(const Checkpoint& checkpoint, const ShallowWater& solver, const State& state) {
  const std::string path = kFiles.path(folder_, checkpoint.progress.effort.steps);
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
  if (rank_ == 0) kFiles.remove_old(folder_, checkpoint.progress.effort.steps, deck_.checkpoint.keep);
  return true;
}

}  // namespace tramontane
