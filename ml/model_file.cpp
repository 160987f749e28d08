// The model file: HDF5 behind a header of plain text that guards every byte.
#include <fcntl.h>
#include <fmt/format.h>
#include <hdf5.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "kernels/checksum.hpp"
#include "ml/model.hpp"

namespace tramontane {
namespace {

using nlohmann::json;

// A user block of HDF5 must be a power of two of at least 512 bytes.
constexpr std::size_t kHeaderBytes = 512;
constexpr const char* kMagic = "TRAMONTANE MODEL";

std::string header_for(const std::byte* image, std::size_t size, int version) {
  Checksum sum;
  sum.add(image, size);
  std::string text = fmt::format("{} version {} bytes {} xxh3 {:016x}\n", kMagic, version, size, sum.value());
  text.resize(kHeaderBytes - 1, ' ');
  return text + '\n';
}

/// An HDF5 identifier that closes itself.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {
    if (id_ < 0) throw std::runtime_error("HDF5 call failed");
  }
  ~Handle() { close_(id_); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

void must(herr_t status) {
  if (status < 0) throw std::runtime_error("HDF5 call failed");
}

/// HDF5 prints its error stack by default; failures are reported in our own words instead.
class QuietHdf5 {
 public:
  QuietHdf5() {
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~QuietHdf5() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

/// A file that lives in memory only. Format at most V18: an image with a later superblock, taken from an open file,
/// fails its own checksum with HDF5 1.10.
hid_t memory_file_access() {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  must(H5Pset_fapl_core(access, 1 << 20, false));
  must(H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18));
  return access;
}

/// Data sets without time stamps: the same model gives the same bytes.
hid_t without_times() {
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  must(H5Pset_obj_track_times(creation, false));
  return creation;
}

template <class T>
hid_t file_type();
template <>
hid_t file_type<float>() {
  return H5T_IEEE_F32LE;
}
template <>
hid_t file_type<double>() {
  return H5T_IEEE_F64LE;
}
template <class T>
hid_t memory_type();
template <>
hid_t memory_type<float>() {
  return H5T_NATIVE_FLOAT;
}
template <>
hid_t memory_type<double>() {
  return H5T_NATIVE_DOUBLE;
}

void make_group(hid_t file, const char* name) {
  const Handle creation(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
  must(H5Pset_obj_track_times(creation, false));
  const Handle group(H5Gcreate2(file, name, H5P_DEFAULT, creation, H5P_DEFAULT), H5Gclose);
}

template <class T>
void write_array(hid_t file, const char* name, const std::vector<T>& values) {
  const hsize_t size = values.size();
  const Handle space(H5Screate_simple(1, &size, nullptr), H5Sclose);
  const Handle creation(without_times(), H5Pclose);
  const Handle set(H5Dcreate2(file, name, file_type<T>(), space, H5P_DEFAULT, creation, H5P_DEFAULT), H5Dclose);
  if (size > 0) must(H5Dwrite(set, memory_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()));
}

template <class T>
std::vector<T> read_array(hid_t file, const char* name) {
  const Handle set(H5Dopen2(file, name, H5P_DEFAULT), H5Dclose);
  const Handle space(H5Dget_space(set), H5Sclose);
  if (H5Sget_simple_extent_ndims(space) != 1) throw std::runtime_error(std::string(name) + " is not one-dimensional");
  hsize_t size = 0;
  H5Sget_simple_extent_dims(space, &size, nullptr);
  std::vector<T> values(size);
  if (size > 0) must(H5Dread(set, memory_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()));
  return values;
}

/// JSON text as an attribute-like scalar string data set (an attribute holds at most 64 KiB in this format).
void write_text(hid_t file, const char* name, const std::string& text) {
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  must(H5Tset_size(type, text.size() + 1));
  must(H5Tset_cset(type, H5T_CSET_UTF8));
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle creation(without_times(), H5Pclose);
  const Handle set(H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT), H5Dclose);
  must(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.c_str()));
}

std::string read_text(hid_t file, const char* name) {
  const Handle set(H5Dopen2(file, name, H5P_DEFAULT), H5Dclose);
  const Handle type(H5Dget_type(set), H5Tclose);
  if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type)) throw std::runtime_error("not a fixed string");
  std::string text(H5Tget_size(type), '\0');
  must(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()));
  text.resize(std::strlen(text.c_str()));
  return text;
}

json to_json(const std::vector<Variable>& variables) {
  json list = json::array();
  for (const Variable& v : variables)
    list.push_back({{"name", v.name}, {"units", v.units}, {"long_name", v.long_name}});
  return list;
}

std::vector<Variable> variables_from(const json& list) {
  std::vector<Variable> variables;
  for (const json& v : list) variables.push_back({v.at("name"), v.at("units"), v.at("long_name")});
  return variables;
}

json description_of(const Model& m) {
  const NetworkSpec& s = m.network;
  json blocks = json::array();
  for (const ParameterBlock& b : build_graph(s).blocks)
    blocks.push_back({{"name", b.name}, {"shape", b.shape}, {"offset", b.offset}});
  json description = {{"kind", m.kind},
          {"vector_frame", m.vector_frame},
          {"interval_seconds", m.interval_seconds},
          {"training_step", m.training_step},
          {"software", m.software},
          {"normaliser_samples", m.normaliser.samples},
          {"network",
           {{"type", s.type},
            {"inputs", s.inputs},
            {"outputs", s.outputs},
            {"width", s.width},
            {"levels", s.levels},
            {"n", s.n},
            {"tiles_per_edge", s.tiles_per_edge},
            {"blocks", s.blocks},
            {"dilations", s.dilations},
            {"expansion", s.expansion},
            {"norm", s.norm},
            {"groups", s.groups},
            {"kernels", s.kernels}}},
          {"inputs", to_json(m.inputs)},
          {"targets", to_json(m.targets)},
          {"statics", to_json(m.statics)},
          {"blocks", blocks}};
  if (!m.distribution.empty())
    description["distribution"] = {{"n", m.distribution.n}, {"bands", m.distribution.bands}, {"features", kGuardFeatureNames}};
  return description;
}

void take_over(const json& d, Model& m) {
  m.kind = d.at("kind");
  m.vector_frame = d.at("vector_frame");
  m.interval_seconds = d.at("interval_seconds");
  m.training_step = d.at("training_step");
  m.software = d.at("software");
  m.normaliser.samples = d.at("normaliser_samples");
  const json& s = d.at("network");
  m.network = {s.at("type"),   s.at("inputs"), s.at("outputs"),       s.at("width"),
               s.at("levels"), s.at("n"),      s.at("tiles_per_edge")};
  // Files from before these were written hold networks that have them as NetworkSpec sets them.
  NetworkSpec& n = m.network;
  n.blocks = s.value("blocks", n.blocks);
  n.dilations = s.value("dilations", n.dilations);
  n.expansion = s.value("expansion", n.expansion);
  n.norm = s.value("norm", n.norm);
  n.groups = s.value("groups", n.groups);
  n.kernels = s.value("kernels", n.kernels);
  m.inputs = variables_from(d.at("inputs"));
  m.targets = variables_from(d.at("targets"));
  m.statics = variables_from(d.at("statics"));
  if (!d.contains("distribution")) return;  // a file from before there was one
  const json& where = d.at("distribution");
  if (where.at("features").get<std::string>() != kGuardFeatureNames) return;  // of a guard that looks at something else
  m.distribution.n = where.at("n");
  m.distribution.bands = where.at("bands");
}

Model read_image(const std::byte* image, std::size_t size) {
  const QuietHdf5 quiet;
  const Handle access(memory_file_access(), H5Pclose);
  must(H5Pset_file_image(access, const_cast<std::byte*>(image), size));
  const Handle file(H5Fopen("model", H5F_ACC_RDONLY, access), H5Fclose);
  Model m;
  m.apply_description(read_text(file, "description"));
  m.provenance = read_text(file, "provenance");
  m.weights = read_array<float>(file, "weights");
  m.normaliser.input_mean = read_array<double>(file, "input_mean");
  m.normaliser.input_std = read_array<double>(file, "input_std");
  m.normaliser.target_std = read_array<double>(file, "target_std");
  m.normaliser.bound = read_array<double>(file, "bound");
  if (!m.distribution.empty()) {
    m.distribution.mean = read_array<float>(file, "distribution/mean");
    m.distribution.whitening = read_array<float>(file, "distribution/whitening");
    m.distribution.target_square = read_array<float>(file, "distribution/target_square");
  }
  m.self_test_input = read_array<float>(file, "self_test_input");
  m.self_test_output = read_array<float>(file, "self_test_output");
  return m;
}

}  // namespace

std::string Model::description() const {
  return description_of(*this).dump(1);
}

void Model::apply_description(const std::string& text) {
  take_over(json::parse(text), *this);
}

std::vector<std::byte> Model::to_bytes() const {
  check_consistent();
  std::vector<std::byte> image;
  try {
    const QuietHdf5 quiet;
    const Handle access(memory_file_access(), H5Pclose);
    const Handle file(H5Fcreate("model", H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose);
    write_text(file, "description", description());
    write_text(file, "provenance", provenance);
    write_array(file, "weights", weights);
    write_array(file, "input_mean", normaliser.input_mean);
    write_array(file, "input_std", normaliser.input_std);
    write_array(file, "target_std", normaliser.target_std);
    write_array(file, "bound", normaliser.bound);
    if (!distribution.empty()) {
      make_group(file, "distribution");
      write_array(file, "distribution/mean", distribution.mean);
      write_array(file, "distribution/whitening", distribution.whitening);
      write_array(file, "distribution/target_square", distribution.target_square);
    }
    write_array(file, "self_test_input", self_test_input);
    write_array(file, "self_test_output", self_test_output);
    must(H5Fflush(file, H5F_SCOPE_LOCAL));
    const ssize_t size = H5Fget_file_image(file, nullptr, 0);
    if (size <= 0) throw std::runtime_error("HDF5 gave no image");
    image.resize(kHeaderBytes + size);
    if (H5Fget_file_image(file, image.data() + kHeaderBytes, size) != size) throw std::runtime_error("short image");
  } catch (const std::runtime_error& error) {
    throw RunError(fmt::format("the model could not be written as HDF5 ({}): is there memory left?", error.what()));
  }
  const std::string header = header_for(image.data() + kHeaderBytes, image.size() - kHeaderBytes, kModelFormatVersion);
  std::memcpy(image.data(), header.data(), kHeaderBytes);
  return image;
}

Model Model::from_bytes(const std::vector<std::byte>& bytes, const std::string& source) {
  std::string header(kHeaderBytes, '\0');
  if (bytes.size() > kHeaderBytes) std::memcpy(header.data(), bytes.data(), kHeaderBytes);
  int version = 0;
  unsigned long long size = 0, checksum = 0;
  const int found =
      std::sscanf(header.c_str(), "TRAMONTANE MODEL version %d bytes %llu xxh3 %16llx", &version, &size, &checksum);
  if (found < 1)
    throw InputError(fmt::format("{} is not a model file of this program or is truncated: name another", source));
  if (version != kModelFormatVersion)
    throw InputError(
        fmt::format("{} has model format version {} but this program reads version {}: train it again or "
                    "use the program that wrote it",
                    source, version, kModelFormatVersion));
  const std::byte* image = bytes.data() + kHeaderBytes;
  const std::size_t here = bytes.size() - kHeaderBytes;
  if (found >= 2 && here < size)
    throw InputError(fmt::format("{} is truncated: {} of {} bytes are there, copy it again", source, here, size));
  if (header != header_for(image, here, version))
    throw InputError(fmt::format("{} is corrupt: its checksum does not match its contents, copy it again", source));
  Model model;
  try {
    model = read_image(image, here);
  } catch (const std::exception& error) {
    throw InputError(fmt::format("{} lacks a part of a model file ({}): name another", source, error.what()));
  }
  try {
    model.check_consistent();
    model.check_self_test();
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}: {}", source, error.what()));
  }
  return model;
}

void Model::save(const std::filesystem::path& path) const {
  const std::vector<std::byte> bytes = to_bytes();
  const std::string aside = path.string() + ".partial";
  auto fail = [&](const char* what) {
    const std::string reason = std::strerror(errno);
    ::unlink(aside.c_str());
    throw RunError(fmt::format("the model file {} could not be {}: {}", path.string(), what, reason));
  };
  const int file = ::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0) fail("created");
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t wrote = ::write(file, bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      const int reason = errno;
      ::close(file);
      errno = reason;
      fail("written");
    }
    done += wrote;
  }
  const bool synced = ::fsync(file) == 0;
  if (::close(file) != 0 || !synced) fail("flushed to disk");
  if (std::rename(aside.c_str(), path.c_str()) != 0) fail("renamed into place");
}

Model Model::load(const std::filesystem::path& path) {
  std::error_code problem;
  const auto size = std::filesystem::file_size(path, problem);
  if (problem)
    throw InputError(
        fmt::format("the model file {} cannot be read ({}): check surrogate.model", path.string(), problem.message()));
  std::vector<std::byte> bytes(size);
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!in)
    throw InputError(fmt::format("the model file {} cannot be read to its end: check surrogate.model", path.string()));
  return from_bytes(bytes, "the model file " + path.string());
}

}  // namespace tramontane
