#include "job.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "src/hdf5_handles.hpp"

namespace tramontane::testing {

namespace fs = std::filesystem;

Scratch::Scratch(const std::string& name)
    : path_(fs::temp_directory_path() / ("tramontane-" + name + "-" + std::to_string(getpid()))) {
  fs::remove_all(path_);
  fs::create_directories(path_);
}

Scratch::~Scratch() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string Scratch::write(const std::string& name, const std::string& text) const {
  std::ofstream(path_ / name) << text;
  return *this / name;
}

Job run_job(const Scratch& scratch, const std::string& name, int ranks, const std::string& arguments, int limit_seconds,
            const std::string& variable) {
  const std::string out = scratch / (name + ".out"), err = scratch / (name + ".err");
  // timeout asks mpirun to end, which ends its ranks; an mpirun that does not is killed 10 s later.
  const std::string command =
      "env -i PATH=\"$PATH\" HOME=\"${HOME:-/}\" TMPDIR=\"${TMPDIR:-/tmp}\" OMPI_ALLOW_RUN_AS_ROOT=1 "
      "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl_base_warn_component_unused=0 "
      "OMP_NUM_THREADS=1 ASAN_OPTIONS=\"$ASAN_OPTIONS\" " +
      (variable.empty() ? "" : "'" + variable + "' ") + "timeout -k 10 " + std::to_string(limit_seconds) +
      " mpirun --oversubscribe -n " + std::to_string(ranks) + " " TRAMONTANE_PROGRAM " " + arguments + " > " + out +
      " 2> " + err + " < /dev/null";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_text(out), read_text(err)};
}

std::map<pid_t, int> processes_of(const Scratch& scratch) {
  const std::string program = fs::path(TRAMONTANE_PROGRAM).filename().string() + '\0', rank = "OMPI_COMM_WORLD_RANK=";
  std::map<pid_t, int> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string line = read_text(entry.path() / "cmdline"), environment = read_text(entry.path() / "environ");
    const std::size_t at = environment.find(rank);
    // mpirun carries the same words, but no rank.
    if (line.find(scratch / "") == std::string::npos || line.find(program) == std::string::npos ||
        at == std::string::npos)
      continue;
    found[std::stoi(name)] = std::stoi(environment.substr(at + rank.size()));
  }
  return found;
}

SmallDisk::SmallDisk(const std::string& folder, const std::string& size) : folder_(folder) {
  fs::create_directories(folder_);
  mounted_ = geteuid() == 0 &&
             std::system(("mount -t tmpfs -o size=" + size + " tmpfs " + folder_ + " 2> /dev/null").c_str()) == 0;
}

SmallDisk::~SmallDisk() {
  if (mounted_ && std::system(("umount " + folder_).c_str()) != 0) std::perror("umount");
}

std::string read_text(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

nlohmann::json read_json(const fs::path& file) {
  return nlohmann::json::parse(read_text(file));
}

std::vector<nlohmann::json> read_metrics(const fs::path& file, const std::string& kind) {
  std::vector<nlohmann::json> lines;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    lines.push_back(nlohmann::json::parse(line));
    if (!kind.empty() && lines.back()["kind"] != kind) lines.pop_back();
  }
  return lines;
}

std::map<std::string, std::vector<std::byte>> datasets_of(const fs::path& path) {
  const hdf5::Handle file = hdf5::open_file(path.string());
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const auto*, void* list) -> herr_t {
    static_cast<std::vector<std::string>*>(list)->push_back(name);
    return 0;
  };
  hdf5::check(H5Lvisit(file, H5_INDEX_NAME, H5_ITER_INC, add, &names), "cannot list " + path.string());
  std::map<std::string, std::vector<std::byte>> found;
  for (const std::string& name : names) {
    const hdf5::Handle object(H5Oopen(file, name.c_str(), H5P_DEFAULT), H5Oclose, "cannot open " + name);
    if (H5Iget_type(object) != H5I_DATASET) continue;
    const hdf5::Handle type(H5Dget_type(object), H5Tclose, "cannot read the type of " + name);
    if (H5Tdetect_class(type, H5T_VLEN) > 0 || H5Tis_variable_str(type) > 0)
      throw std::runtime_error(name + " holds values of variable length, whose bytes are pointers");
    const hdf5::Handle space(H5Dget_space(object), H5Sclose, "cannot read the shape of " + name);
    std::vector<std::byte>& bytes = found[name];
    bytes.resize(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)) * H5Tget_size(type));
    hdf5::check(H5Dread(object, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()), "cannot read " + name);
  }
  return found;
}

std::map<std::string, std::string> contents_of(const fs::path& folder) {
  std::map<std::string, std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) found[fs::relative(entry.path(), folder).string()] = read_text(entry.path());
  return found;
}

std::string small_deck() {
  return "grid: {n: 24}\n"
         "initial: {case: winds}\n"
         "teach: {months: [1983-01, 1984-07, 1985-04], validation: [1990-01], days: 1}\n"
         "stream: {every: 1h, deadline: 60s}\n"
         "surrogate:\n"
         "  coarse_n: 12\n"
         "  interval: 1h\n"
         "  network: {width: 16, levels: 2}\n"
         "learner:\n"
         "  batch: 8\n"
         "  steps: 150\n"
         "  learning_rate: 2e-3\n"
         "  warmup: 10\n"
         "  ema: 0.95\n"
         "  watermark: 24\n"
         "  validate_every: 50\n"
         "  deterministic: true\n"
         "forecast: {starts: [1991-01, 1991-07], days: 1}\n"
         "output: {every: 6h, latlon: 0, plots: false}\n";
}

SmallRun::SmallRun()
    : deck(scratch.write("deck.yaml", small_deck())), folder(scratch / "run"), archive(scratch / "run/archive.h5") {
  job = run_job(scratch, "run", 2,
                "run " + deck + " --set output.dir=" + folder + " --set stream.archive=" + archive +
                    " --set output.onnx=true");
}

const SmallRun& small_run() {
  static const SmallRun run;
  return run;
}

}  // namespace tramontane::testing
