#include "src/checkpoint/run_snapshot_store.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "kernels/errors.hpp"
#include "src/checkpoint/file_seal.hpp"
#include "src/checkpoint/sealed_file.hpp"

namespace tramontane {

namespace {

namespace fs = std::filesystem;

/// Number that a folder's name tells; -1 when it is no snapshot's.
std::int64_t number_of(const fs::path& path) {
  const std::string name = path.filename().string();
  long number = -1;
  int length = 0;
  if (std::sscanf(name.c_str(), "snapshot-%ld%n", &number, &length) != 1 || length != static_cast<int>(name.size()))
    return -1;
  return number < 0 ? -1 : number;
}

RunSnapshot::Mark mark_of(const std::string& path) {
  const SealCheck check = check_seal(path, MPI_COMM_SELF);
  if (!check.damage.empty()) throw RunError(fmt::format("{}: {}", path, check.damage));
  return {check.bytes, check.checksum};
}

}  // namespace

std::string snapshots_folder(const Deck& deck) {
  return deck.output.dir + "/snapshots";
}

std::vector<std::string> list_snapshots(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (number_of(entry->path()) >= 0) found.push_back(entry->path().string());
  std::sort(found.begin(), found.end(),
            [](const std::string& a, const std::string& b) { return number_of(a) > number_of(b); });
  return found;
}

SnapshotCheck check_snapshot(const std::string& path) {
  SnapshotCheck check;
  const std::string manifest = path + "/" + kManifestPart;
  const SealCheck seal = check_seal(manifest, MPI_COMM_SELF);
  check.format = seal.format;
  if (!seal.damage.empty()) {
    check.damage = fmt::format("its manifest is not whole: {}", seal.damage);
    return check;
  }
  if (seal.format != kSnapshotFormat) return check;
  try {
    check.snapshot = snapshot_from(read_behind_seal(manifest));
    for (const auto& [name, mark] : check.snapshot.parts) {
      const SealCheck part = check_seal(path + "/" + name, MPI_COMM_SELF);
      if (!part.damage.empty()) throw RunError(fmt::format("its part {} is not whole: {}", name, part.damage));
      if (RunSnapshot::Mark{part.bytes, part.checksum} != mark)
        throw RunError(fmt::format("its part {} is of another snapshot", name));
    }
  } catch (const std::exception& error) {
    check.damage = error.what();
  }
  return check;
}

std::vector<std::string> wanted_snapshots(const Deck& deck) {
  const std::string& wanted = deck.checkpoint.resume;
  if (wanted == "none") return {};
  if (wanted == "auto") return list_snapshots(snapshots_folder(deck));
  const std::string key = deck.where("checkpoint.resume") + "checkpoint.resume = " + wanted;
  if (!fs::is_directory(wanted)) throw InputError(key + ": there is no such folder; name a snapshot or the folder of several");
  const fs::path folder = fs::absolute(wanted).lexically_normal();
  const fs::path named = folder.has_filename() ? folder : folder.parent_path();
  if (number_of(named) < 0) {
    const std::vector<std::string> found = list_snapshots(named.string());
    if (found.empty()) throw InputError(key + ": the folder holds no snapshot-<number>; name another one");
    return found;
  }
  std::vector<std::string> found = {named.string()};
  for (const std::string& other : list_snapshots(named.parent_path().string()))
    if (number_of(other) < number_of(named)) found.push_back(other);
  return found;
}

RunSnapshotStore::RunSnapshotStore(const Deck& deck) : deck_(deck), folder_(snapshots_folder(deck)) {}

std::string RunSnapshotStore::path(std::int64_t number) const {
  return fmt::format("{}/snapshot-{:06}", folder_, number);
}

void RunSnapshotStore::open(const std::string& continued) {
  last_ = continued;
  std::error_code error;
  if (continued.empty() && fs::exists(folder_)) {
    const std::string earlier = folder_ + "-earlier";
    if (!list_snapshots(folder_).empty()) {
      fs::remove_all(earlier, error);
      fs::rename(folder_, earlier, error);
      if (error)
        throw InputError(fmt::format("the snapshots of an earlier run in {} can not be moved to {} ({}): choose another "
                                     "output.dir",
                                     folder_, earlier, error.message()));
      spdlog::info("the snapshots of an earlier run are now in {}", earlier);
    } else {
      fs::remove_all(folder_, error);
    }
  }
  fs::create_directories(folder_, error);
  if (error || !fs::is_directory(folder_))
    throw InputError(fmt::format("{}output.dir = {}: the folder {} can not be made ({}): choose another one",
                                 deck_.where("output.dir"), deck_.output.dir, folder_,
                                 error ? error.message() : "a file of that name is in the way"));
  for (fs::directory_iterator entry(folder_, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().extension() == ".part") {
      std::error_code ignored;
      fs::remove_all(entry->path(), ignored);
    }
}

void RunSnapshotStore::begin(std::int64_t number) const {
  std::error_code error;
  fs::remove_all(aside(number), error);
  fs::create_directories(aside(number), error);
  if (error) throw RunError(fmt::format("cannot make {} ({})", aside(number), error.message()));
}

void RunSnapshotStore::seal(RunSnapshot snapshot) {
  const std::string part = aside(snapshot.number), whole = path(snapshot.number);
  try {
    for (const auto& entry : fs::directory_iterator(part)) {
      const std::string name = entry.path().filename().string();
      snapshot.parts[name] = mark_of(entry.path().string());
    }
    write_sealed_file(part + "/" + kManifestPart, kSnapshotFormat, to_text(snapshot));
    std::error_code ignored;
    fs::remove_all(whole, ignored);  // of a course that was given up
    put_in_place(part, whole);
  } catch (const std::exception& error) {
    abandon(snapshot.number);
    throw RunError(error.what());
  }
  last_ = whole;
  int kept = 0;
  std::error_code ignored;
  for (const std::string& other : list_snapshots(folder_))
    if (number_of(other) > snapshot.number || ++kept > deck_.checkpoint.keep) {
      // In one go out of the list: half a snapshot is none.
      fs::rename(other, other + ".part", ignored);
      fs::remove_all(other + ".part", ignored);
    }
}

void RunSnapshotStore::abandon(std::int64_t number) const {
  std::error_code ignored;
  fs::remove_all(aside(number), ignored);
}

}  // namespace tramontane
