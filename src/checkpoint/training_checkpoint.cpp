#include "src/checkpoint/training_checkpoint.hpp"

#include <fmt/format.h>

#include <sstream>

#include "src/checkpoint/sealed_file.hpp"
#include "src/hdf5_handles.hpp"

namespace tramontane {

namespace {

namespace fs = std::filesystem;
using hdf5::Handle;

/// Every scalar with its name in the file, for writing and reading alike.
template <class C, class Visit>
void for_each_scalar(C& c, const Visit& visit) {
  visit("version", c.version);
  visit("n", c.identity.n);
  visit("interval_seconds", c.identity.interval_seconds);
  visit("parameters", c.identity.parameters);
  visit("network", c.identity.network);
  visit("initial", c.identity.initial);
  visit("samples", c.identity.samples);
  visit("sample_marks", c.identity.sample_marks);
  visit("settings", c.identity.settings);
  visit("learners", c.identity.learners);
  visit("depends_on_learners", c.identity.depends_on_learners);
  visit("step", c.optimiser.step);
  visit("normaliser_samples", c.normaliser.samples);
  visit("loss_first", c.progress.loss_first);
  visit("held_out_loss", c.progress.held_out_loss);
  visit("is_validated", c.progress.is_validated);
  visit("best_loss", c.progress.best_loss);
  visit("best_step", c.progress.best_step);
  visit("since_best", c.progress.since_best);
  visit("seconds", c.progress.seconds);
  visit("rollout_loss_first", c.progress.rollout_loss_first);
  visit("rollout_loss", c.progress.rollout_loss);
  visit("rollouts_lost", c.progress.rollouts_lost);
}

template <class C, class Visit>
void for_each_list(C& c, const Visit& visit) {
  visit("parameters", c.optimiser.parameters);
  visit("first_moment", c.optimiser.first_moment);
  visit("second_moment", c.optimiser.second_moment);
  visit("average", c.optimiser.average);
  visit("best_weights", c.progress.best_weights);
  visit("recent_losses", c.progress.recent_losses);
  visit("input_mean", c.normaliser.input_mean);
  visit("input_std", c.normaliser.input_std);
  visit("target_std", c.normaliser.target_std);
  visit("bound", c.normaliser.bound);
}

/// Types as HDF5 has them: bool is stored as an integer.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, bool> || std::is_same_v<T, int>, std::int32_t, T>;

/// The file's bytes behind the seal, made in memory: a full disk is then an error of a plain write, not of HDF5.
std::vector<std::byte> image_of(const TrainingCheckpoint& checkpoint) {
  const auto lock = hdf5::library_lock();
  const Handle access = hdf5::property_list(H5P_FILE_ACCESS), creation = hdf5::property_list(H5P_DATASET_CREATE);
  hdf5::check(H5Pset_fapl_core(access, 1 << 20, false), "cannot make a file in memory");
  // The image comes to lie behind the seal: with the oldest superblock HDF5 looks for it there and counts from it; a newer
  // one has its place under its checksum.
  hdf5::check(H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18), "cannot set HDF5's format");
  // Equal checkpoints are equal files: no time stamps.
  hdf5::check(H5Pset_obj_track_times(creation, false), "cannot set up the file");
  const Handle file = hdf5::create_file("training checkpoint", access);
  for_each_scalar(checkpoint, [&](const char* name, const auto& value) {
    using T = std::remove_cvref_t<decltype(value)>;
    if constexpr (std::is_same_v<T, std::string>)
      hdf5::write_attribute(file, name, value);
    else
      hdf5::write_attribute(file, name, static_cast<Stored<T>>(value));
  });
  for_each_list(checkpoint, [&](const char* name, const auto& values) {
    using T = typename std::remove_cvref_t<decltype(values)>::value_type;
    const hsize_t count = values.size();
    const Handle data =
        hdf5::create_dataset(file, name, hdf5::native_type<T>(), hdf5::dataspace({&count, 1}), creation);
    if (count > 0) hdf5::write(data, values.data());
  });
  return hdf5::file_image(file);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string key_of(const std::string& line) {
  return line.substr(0, line.find(" = "));
}

}  // namespace

void check_fits(const TrainingCheckpoint& checkpoint, const TrainingIdentity& own, const std::string& path) {
  const TrainingIdentity& its = checkpoint.identity;
  const auto refuse = [&](const std::string& has, const std::string& wants, const std::string& advice) {
    throw InputError(
        fmt::format("{} {}, and this training {}: {}, or start anew with learner.resume=none", path, has, wants, advice));
  };
  if (its.n != own.n)
    refuse(fmt::format("is a checkpoint of a network for C{}", its.n), fmt::format("is for C{}", own.n),
           fmt::format("set surrogate.coarse_n={}", its.n));
  if (its.interval_seconds != own.interval_seconds)
    refuse(fmt::format("is for an interval of {:g} s", its.interval_seconds),
           fmt::format("for {:g} s", own.interval_seconds), "give surrogate.interval the value it had");
  // The deck's keys first: their names say more than the numbers below.
  const auto lines = lines_of(its.settings), own_lines = lines_of(own.settings);
  for (const std::string& line : lines)
    for (const std::string& other : own_lines)
      if (key_of(line) == key_of(other) && line != other)
        refuse("was written with " + line, "has " + other.substr(key_of(other).size() + 3),
               fmt::format("set {} back", key_of(line)));
  if (its.parameters != own.parameters || its.network != own.network)
    refuse(fmt::format("is a checkpoint of another network, of {} parameters", its.parameters),
           fmt::format("has one of {}", own.parameters), "give the keys of surrogate.network the values they had");
  if (its.initial != own.initial)
    refuse(its.initial ? "began from a model file" : "began without a model file",
           own.initial ? "names another one" : "names none", "give --from as it was");
  if (its.samples != own.samples || its.sample_marks != own.sample_marks)
    refuse(fmt::format("was trained on other samples ({} in all)", its.samples),
           fmt::format("has {}", own.samples), "name the same archives in the same order");
  if (its.learners != own.learners && own.depends_on_learners)
    refuse(fmt::format("is of a training on {} ranks", its.learners), fmt::format("runs on {}", own.learners),
           "take as many ranks, because the stream's order depends on them");
}

void write_training_checkpoint(const fs::path& path, const TrainingCheckpoint& checkpoint) {
  write_sealed_file(path, kTrainingCheckpointFormat, image_of(checkpoint));
}

TrainingCheckpoint read_training_checkpoint(const fs::path& path) {
  const auto lock = hdf5::library_lock();
  TrainingCheckpoint checkpoint;
  const Handle file = hdf5::open_file(path.string());
  for_each_scalar(checkpoint, [&](const char* name, auto& value) {
    using T = std::remove_cvref_t<decltype(value)>;
    if constexpr (std::is_same_v<T, std::string>)
      value = hdf5::read_string_attribute(file, name);
    else
      value = static_cast<T>(hdf5::read_attribute<Stored<T>>(file, name));
  });
  for_each_list(checkpoint, [&](const char* name, auto& values) {
    using T = typename std::remove_cvref_t<decltype(values)>::value_type;
    values = hdf5::read<T>(hdf5::open_dataset(file, name));
  });
  return checkpoint;
}

}  // namespace tramontane
