#include "src/checkpoint/training_store.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "src/checkpoint/file_seal.hpp"
#include "src/checkpoint/numbered_files.hpp"
#include "src/program/collective_guard.hpp"

namespace tramontane {

namespace {

const NumberedFiles kFiles("training");

}  // namespace

std::vector<std::string> list_training_checkpoints(const std::string& folder) {
  return kFiles.list(folder);
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
    kFiles.open(deck_, folder_, !last_.empty(), "training");
  });
  clock_ = MPI_Wtime();
}

bool TrainingStore::is_due() const {
  return rank_ == 0 && deck_.learner.checkpoint_minutes &&
         MPI_Wtime() - clock_ >= 60 * *deck_.learner.checkpoint_minutes;
}

bool TrainingStore::write(TrainingCheckpoint checkpoint) {
  const long steps = static_cast<long>(checkpoint.optimiser.step);
  const std::string path = kFiles.path(folder_, steps);
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
  if (rank_ == 0) kFiles.remove_old(folder_, steps, deck_.checkpoint.keep);
  return true;
}

}  // namespace tramontane
