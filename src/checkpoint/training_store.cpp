#include "src/checkpoint/training_store.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "src/checkpoint/file_seal.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

namespace {

namespace fs = std::filesystem;

constexpr const char* kPattern = "training-{:09}.h5";

/// Steps that a file's name tells; -1 when it is no training checkpoint's.
long steps_of(const fs::path& path) {
  long steps = -1;
  int length = 0;
  const std::string name = path.filename().string();
  if (std::sscanf(name.c_str(), "training-%ld.h5%n", &steps, &length) != 1 ||
      length != static_cast<int>(name.size()) || steps < 0)
    return -1;
  return steps;
}

}  // namespace

std::vector<std::string> list_training_checkpoints(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (steps_of(entry->path()) >= 0) found.push_back(entry->path().string());
  std::sort(found.begin(), found.end(),
            [](const std::string& a, const std::string& b) { return steps_of(a) > steps_of(b); });
  return found;
}

TrainingStore::TrainingStore(const Deck& deck, TrainingIdentity own, MPI_Comm comm)
    : deck_(deck), own_(std::move(own)), comm_(comm), folder_(deck.output.dir + "/training-checkpoints") {
  MPI_Comm_rank(comm_, &rank_);
}

std::optional<TrainingCheckpoint> TrainingStore::find() {
  if (deck_.learner.resume == "none") return std::nullopt;
  const std::string key = deck_.where("learner.resume") + "learner.resume = " + deck_.learner.resume;
  std::optional<TrainingCheckpoint> found;
  std::string path;
  // Rank 0 looks for the file; the others take its word and read the same one.
  collective_guard(comm_, [&] {
    if (rank_ != 0) return;
    std::string damages;
    const std::vector<std::string> candidates = list_training_checkpoints(folder_);
    for (std::size_t k = 0; k < candidates.size() && path.empty(); ++k) {
      const SealCheck check = check_seal(candidates[k], MPI_COMM_SELF);
      if (check.damage.empty() && check.format != kTrainingCheckpointFormat)
        throw InputError(fmt::format("{}: {} has format {}, and this program reads format {}: continue with the version "
                                     "that wrote it, or start anew with learner.resume=none",
                                     key, candidates[k], check.format, kTrainingCheckpointFormat));
      if (check.damage.empty()) {
        path = candidates[k];
        continue;
      }
      damages += (damages.empty() ? "" : ", ") + fmt::format("{}: {}", candidates[k], check.damage);
      if (k + 1 < candidates.size())
        spdlog::warn("the checkpoint {} is damaged ({}): taking the older one", candidates[k], check.damage);
    }
    if (path.empty() && !candidates.empty())
      throw InputError(
          fmt::format("{}: no checkpoint is usable ({}); start anew with learner.resume=none", key, damages));
  });
  int length = static_cast<int>(path.size());
  MPI_Bcast(&length, 1, MPI_INT, 0, comm_);
  path.resize(static_cast<std::size_t>(length));
  MPI_Bcast(path.data(), length, MPI_CHAR, 0, comm_);
  if (path.empty()) {
    if (rank_ == 0) spdlog::info("no checkpoint in {}: starting anew", folder_);
    return std::nullopt;
  }
  collective_guard(comm_, [&] {
    found = read_training_checkpoint(path);
    check_fits(*found, own_, path);
  });
  last_ = path;
  if (rank_ == 0) {
    spdlog::info("continuing after step {} from {}", found->optimiser.step, path);
    if (found->version != TRAMONTANE_VERSION)
      spdlog::warn("{} was written by tramontane {}, this is {}: results may differ in the last digits", path,
                   found->version, TRAMONTANE_VERSION);
    if (found->identity.learners != own_.learners)
      spdlog::info("{} was written on {} ranks, this is on {}: the batches stay the same", path,
                   found->identity.learners, own_.learners);
  }
  return found;
}

void TrainingStore::open() {
  collective_guard(comm_, [&] {
    if (rank_ != 0) return;
    std::error_code error;
    if (last_.empty() && !list_training_checkpoints(folder_).empty()) {
      const std::string earlier = folder_ + "-earlier";
      fs::remove_all(earlier, error);
      fs::rename(folder_, earlier, error);
      if (error)
        throw InputError(fmt::format(
            "the checkpoints of an earlier training in {} can not be moved to {} ({}): choose another output.dir",
            folder_, earlier, error.message()));
      spdlog::info("the checkpoints of an earlier training are now in {}", earlier);
    }
    fs::create_directories(folder_, error);
    if (error || !fs::is_directory(folder_))
      throw InputError(fmt::format("{}output.dir = {}: the folder {} can not be made ({}): choose another one",
                                   deck_.where("output.dir"), deck_.output.dir, folder_,
                                   error ? error.message() : "a file of that name is in the way"));
  });
  clock_ = MPI_Wtime();
}

bool TrainingStore::is_due() const {
  return rank_ == 0 && deck_.learner.checkpoint_minutes &&
         MPI_Wtime() - clock_ >= 60 * *deck_.learner.checkpoint_minutes;
}

bool TrainingStore::write(TrainingCheckpoint checkpoint) {
  const long steps = static_cast<long>(checkpoint.optimiser.step);
  const std::string path = folder_ + "/" + fmt::format(kPattern, steps);
  int written = 1;
  if (rank_ == 0) {
    checkpoint.identity = own_;
    checkpoint.version = TRAMONTANE_VERSION;
    try {
      write_training_checkpoint(path, checkpoint);
    } catch (const RunError& error) {
      written = 0;
      spdlog::warn("no checkpoint after step {}, training goes on: {}{}", steps, error.what(),
                   last_.empty() ? std::string("; there is no earlier one") : "; the last good one is " + last_);
    }
  }
  MPI_Bcast(&written, 1, MPI_INT, 0, comm_);
  clock_ = MPI_Wtime();
  if (!written) return false;
  last_ = path;
  if (rank_ != 0) return true;
  int kept = 0;
  std::error_code ignored;
  for (const std::string& old : list_training_checkpoints(folder_)) {
    // More steps than this training has taken: of a course that was given up when it went back to an older checkpoint.
    const bool is_given_up = steps_of(old) > steps;
    if (is_given_up || ++kept > deck_.checkpoint.keep) fs::remove(old, ignored);
  }
  return true;
}

}  // namespace tramontane
