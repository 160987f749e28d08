#include "src/stream/frame.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

#include "kernels/checksum.hpp"
#include "src/hdf5_handles.hpp"

namespace tramontane {

namespace {

using hdf5::Handle;

/// Every header number fills eight bytes, so that a pattern of eight bytes finds it.
constexpr std::array<const char*, FrameMap::kHeaderFields> kHeaderNames = {
    "sample", "time", "month", "trajectory", "validation", "weights_version", "checksum"};
constexpr std::size_t kTime = 1, kChecksum = 6;
using HeaderWords = std::array<std::uint64_t, FrameMap::kHeaderFields>;

HeaderWords to_words(const FrameHeader& header) {
  const SampleInfo& s = header.info;
  auto word = [](std::int64_t value) { return std::bit_cast<std::uint64_t>(value); };
  return {word(s.number),     std::bit_cast<std::uint64_t>(s.time), word(s.month),  word(s.trajectory),
          word(s.validation), word(header.weights_version),         header.checksum};
}

HeaderWords words_in(std::span<const std::byte> image, const FrameMap& map) {
  HeaderWords words;
  for (std::size_t k = 0; k < words.size(); ++k) std::memcpy(&words[k], image.data() + map.header[k], 8);
  return words;
}

FrameHeader from_words(const HeaderWords& words) {
  auto number = [&](std::size_t k) { return std::bit_cast<std::int64_t>(words[k]); };
  FrameHeader header;
  header.info.number = number(0);
  header.info.time = std::bit_cast<double>(words[kTime]);
  header.info.month = static_cast<std::int32_t>(number(2));
  header.info.trajectory = static_cast<std::int32_t>(number(3));
  header.info.validation = static_cast<std::int32_t>(number(4));
  header.weights_version = number(5);
  header.checksum = words[kChecksum];
  return header;
}

const Variable& variable(std::size_t v) {
  const std::size_t inputs = sample_inputs().size();
  return v < inputs ? sample_inputs()[v] : sample_targets()[v - inputs];
}

/// What the fixed root attributes hold; the scouting images hold patterns in their place.
struct Constants {
  std::string run_id;
  std::uint64_t producer, n, tiles_per_edge;
};
Constants constants_of(const FrameLayout& layout) {
  return {layout.run_id, static_cast<std::uint64_t>(layout.rank), static_cast<std::uint64_t>(layout.tiling.n),
          static_cast<std::uint64_t>(layout.tiling.tiles_per_edge)};
}

/// Room for all metadata of a frame; more would cost bytes, less would put some of it between the datasets.
constexpr hsize_t kMetadata = 12 << 10;

struct BuiltFrame {
  std::vector<std::byte> bytes;
  std::vector<std::size_t> payload;
  std::size_t tiles;
};

/// Makes the image with HDF5. `payload` is empty (zeros) or holds one pointer per variable.
BuiltFrame build(const FrameLayout& layout, const Constants& constants, const HeaderWords& header,
                 std::span<const float* const> payload) {
  Handle access = hdf5::property_list(H5P_FILE_ACCESS);
  hdf5::check(H5Pset_fapl_core(access, 1 << 20, false), "cannot use HDF5's memory driver");
  hdf5::check(H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18), "cannot set HDF5's format");
  // Payload on cache lines, each dataset on its own and not in a shared block.
  hdf5::check(H5Pset_alignment(access, 1, 64), "cannot set HDF5's alignment");
  hdf5::check(H5Pset_small_data_block_size(access, 0), "cannot set HDF5's block size");
  // All metadata in one block, so that nothing comes between the datasets.
  hdf5::check(H5Pset_meta_block_size(access, kMetadata), "cannot set HDF5's block size");
  Handle file = hdf5::create_file("frame", access);

  hdf5::write_attribute(file, "Conventions", std::string("CF-1.10"));
  hdf5::write_attribute(file, "title", std::string("Tramontane frame: tiles of one sample from one solver rank"));
  hdf5::write_attribute(file, "time_units", std::string("s since the start of the trajectory"));
  hdf5::write_attribute(file, "run_id", constants.run_id);
  hdf5::write_attribute(file, "producer_rank", std::bit_cast<std::int64_t>(constants.producer));
  hdf5::write_attribute(file, "grid_n", std::bit_cast<std::int64_t>(constants.n));
  hdf5::write_attribute(file, "tiles_per_edge", std::bit_cast<std::int64_t>(constants.tiles_per_edge));
  for (std::size_t k = 0; k < kHeaderNames.size(); ++k) {
    if (k == kTime)
      hdf5::write_attribute(file, kHeaderNames[k], std::bit_cast<double>(header[k]));
    else if (k == kChecksum)
      hdf5::write_attribute(file, kHeaderNames[k], header[k]);
    else
      hdf5::write_attribute(file, kHeaderNames[k], std::bit_cast<std::int64_t>(header[k]));
  }

  // Space is claimed when a dataset is created, and no time stamp enters the image: equal layouts give equal bytes.
  Handle creation = hdf5::property_list(H5P_DATASET_CREATE);
  hdf5::check(H5Pset_layout(creation, H5D_CONTIGUOUS), "cannot set a dataset's layout");
  hdf5::check(H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY), "cannot set a dataset's allocation");
  hdf5::check(H5Pset_obj_track_times(creation, false), "cannot switch off time stamps");

  const hsize_t cells = static_cast<hsize_t>(layout.tiling.tile_cells());
  const std::array<hsize_t, 3> shape = {static_cast<hsize_t>(layout.tiles()), cells, cells};
  const std::array<const char*, 3> axes = {"tiles", "j", "i"};
  std::array<Handle, 3> scales;
  BuiltFrame out;
  for (unsigned axis = 0; axis < 3; ++axis) {
    std::vector<std::int32_t> index(shape[axis]);
    for (std::size_t k = 0; k < index.size(); ++k)
      index[k] = static_cast<std::int32_t>(k) + (axis == 0 ? layout.tiling.first_tile(layout.rank) : 0);
    const Handle space = hdf5::dataspace(std::span(&shape[axis], 1));
    scales[axis] = hdf5::create_dataset(file, axes[axis], H5T_NATIVE_INT32, space, creation);
    hdf5::write(scales[axis], index.data());
    hdf5::write_attribute(scales[axis], "long_name",
                          std::string(axis == 0   ? "tile number"
                                      : axis == 1 ? "cell along beta"
                                                  : "cell along alpha"));
    hdf5::make_scale(scales[axis], axes[axis]);
  }
  out.tiles = H5Dget_offset(scales[0]);

  const Handle space = hdf5::dataspace(shape);
  const Handle input = hdf5::create_group(file, "input"), target = hdf5::create_group(file, "target");
  std::vector<Handle> variables;
  for (std::size_t v = 0; v < FrameLayout::variable_count(); ++v) {
    const Variable& what = variable(v);
    Handle data =
        hdf5::create_dataset(v < sample_inputs().size() ? input : target, what.name, H5T_NATIVE_FLOAT, space, creation);
    hdf5::write_attribute(data, "units", what.units);
    hdf5::write_attribute(data, "long_name", what.long_name);
    if (!payload.empty()) hdf5::write(data, payload[v]);
    const haddr_t offset = H5Dget_offset(data);
    if (offset == HADDR_UNDEF || offset % alignof(float) != 0)
      throw RunError("stream frame: HDF5 gave no place to " + what.name);
    out.payload.push_back(offset);
    variables.push_back(std::move(data));
  }
  // Not before all datasets have their place: what says which scale belongs to which lies between them otherwise.
  for (const Handle& data : variables)
    for (unsigned axis = 0; axis < 3; ++axis) hdf5::attach_scale(data, scales[axis], axis);
  out.bytes = hdf5::file_image(file);
  return out;
}

/// The one place where eight given bytes lie; throws when there is none or more than one.
std::size_t find_word(std::span<const std::byte> image, std::uint64_t word, const char* what) {
  std::array<std::byte, 8> pattern;
  std::memcpy(pattern.data(), &word, 8);
  const auto first = std::search(image.begin(), image.end(), pattern.begin(), pattern.end());
  if (first == image.end() || std::search(first + 1, image.end(), pattern.begin(), pattern.end()) != image.end())
    throw RunError(std::string("stream frame: the place of the attribute ") + what +
                   " in the HDF5 image is not unique; another HDF5 version is needed");
  return static_cast<std::size_t>(first - image.begin());
}

/// Words with no repeats and no small numbers, for the scouting image. (Finite as doubles.)
std::uint64_t pattern_word(std::uint64_t k) {
  return 0x3a5c96e1b7d24f80ULL + k * 0x0101030509112141ULL;
}

FrameMap find_map(const FrameLayout& layout, const BuiltFrame& real) {
  HeaderWords words;
  for (std::size_t k = 0; k < words.size(); ++k) words[k] = pattern_word(k);
  Constants patterns = {std::string(layout.run_id.size(), 'A'), pattern_word(20), pattern_word(21), pattern_word(22)};
  const BuiltFrame scout = build(layout, patterns, words, {});
  patterns.run_id = std::string(layout.run_id.size(), 'B');
  const BuiltFrame other_run = build(layout, patterns, words, {});
  if (scout.bytes.size() != real.bytes.size() || scout.payload != real.payload || scout.tiles != real.tiles ||
      other_run.bytes.size() != real.bytes.size())
    throw RunError("stream frame: HDF5 laid out two frames of one kind differently");

  FrameMap map;
  map.size = real.bytes.size();
  map.payload = real.payload;
  for (std::size_t k = 0; k < words.size(); ++k) map.header[k] = find_word(scout.bytes, words[k], kHeaderNames[k]);
  auto identity = [&](FrameFault fault, std::size_t begin, std::size_t length) {
    map.identity.push_back({fault, {begin, begin + length}});
  };
  if (!layout.run_id.empty()) {
    const auto first = std::mismatch(scout.bytes.begin(), scout.bytes.end(), other_run.bytes.begin()).first;
    identity(FrameFault::run, first - scout.bytes.begin(), layout.run_id.size());
  }
  identity(FrameFault::producer, find_word(scout.bytes, patterns.producer, "producer_rank"), 8);
  identity(FrameFault::grid, find_word(scout.bytes, patterns.n, "grid_n"), 8);
  identity(FrameFault::grid, find_word(scout.bytes, patterns.tiles_per_edge, "tiles_per_edge"), 8);
  identity(FrameFault::tiles, real.tiles, sizeof(std::int32_t) * layout.tiles());

  std::vector<ByteRange> changing;
  for (const std::size_t at : map.header) changing.push_back({at, at + 8});
  for (const std::size_t at : map.payload) changing.push_back({at, at + layout.variable_bytes()});
  std::sort(changing.begin(), changing.end(), [](ByteRange a, ByteRange b) { return a.begin < b.begin; });
  std::size_t at = 0;
  for (const ByteRange range : changing) {
    if (range.begin < at || range.end > map.size) throw RunError("stream frame: HDF5's offsets overlap");
    if (range.begin > at) map.constant.push_back({at, range.begin});
    at = range.end;
  }
  if (at < map.size) map.constant.push_back({at, map.size});
  return map;
}

}  // namespace

const char* name(FrameFault fault) {
  constexpr const char* names[] = {"none",  "length",   "transport", "run",    "grid",  "producer",
                                   "tiles", "constant", "checksum",  "values", "sample"};
  return names[static_cast<int>(fault)];
}

std::vector<std::byte> build_frame_by_library(const FrameLayout& layout, const FrameHeader& header,
                                              std::span<const float* const> payload) {
  HeaderWords words = to_words(header);
  Checksum sum;
  for (const float* data : payload) sum.add(data, layout.variable_bytes());
  sum.add(words.data(), 8 * kChecksum);
  words[kChecksum] = sum.value();
  return build(layout, constants_of(layout), words, payload).bytes;
}

FrameImage::FrameImage(const FrameLayout& layout) : layout_(std::make_shared<const FrameLayout>(layout)) {
  BuiltFrame real = build(layout, constants_of(layout), {}, {});
  map_ = std::make_shared<const FrameMap>(find_map(layout, real));
  owned_ = std::move(real.bytes);
  bytes_ = owned_;
}

FrameImage::FrameImage(const FrameImage& other)
    : layout_(other.layout_), map_(other.map_), owned_(other.bytes_.begin(), other.bytes_.end()), bytes_(owned_) {}

FrameImage::FrameImage(const FrameImage& other, std::byte* memory)
    : layout_(other.layout_), map_(other.map_), bytes_(memory, other.bytes_.size()) {
  for (const ByteRange range : map_->constant)
    std::copy(other.bytes_.data() + range.begin, other.bytes_.data() + range.end, memory + range.begin);
}

FrameImage& FrameImage::operator=(const FrameImage& other) {
  if (this == &other) return *this;
  if (bytes_.size() != other.bytes_.size()) throw RunError("stream frame: an image of another layout was assigned");
  std::ranges::copy(other.bytes_, bytes_.begin());
  return *this;
}

/// `add(sum, v)` gives variable v to the checksum.
template <class Add>
void FrameImage::write_header(const FrameHeader& header, const Add& add) {
  HeaderWords words = to_words(header);
  Checksum sum;
  for (std::size_t v = 0; v < map_->payload.size(); ++v) add(sum, v);
  sum.add(words.data(), 8 * kChecksum);
  words[kChecksum] = sum.value();
  for (std::size_t k = 0; k < words.size(); ++k) std::memcpy(bytes_.data() + map_->header[k], &words[k], 8);
}

void FrameImage::patch(const FrameHeader& header, std::span<const float* const> payload) {
  if (payload.size() != map_->payload.size())
    throw RunError("stream frame: " + std::to_string(payload.size()) + " variables were given, a sample has " +
                   std::to_string(map_->payload.size()));
  write_header(header, [&](Checksum& sum, std::size_t v) {
    sum.add_copy(bytes_.data() + map_->payload[v], payload[v], layout_->variable_bytes());
  });
}

void FrameImage::seal(const FrameHeader& header) {
  write_header(header, [&](Checksum& sum, std::size_t v) {
    sum.add(bytes_.data() + map_->payload[v], layout_->variable_bytes());
  });
}

std::vector<float*> FrameImage::payload() {
  std::vector<float*> variables;
  // HDF5 was told to align; build() has made sure of it.
  for (const std::size_t at : map_->payload) variables.push_back(reinterpret_cast<float*>(bytes_.data() + at));
  return variables;
}

FrameReader::FrameReader(const FrameLayout& layout) : layout_(layout) {
  const FrameImage image(layout);
  map_ = image.map();
  Checksum sum;
  for (const ByteRange range : map_.constant) {
    const std::byte* first = image.bytes().data() + range.begin;
    constant_.insert(constant_.end(), first, first + (range.end - range.begin));
    sum.add(&range, sizeof range);
  }
  sum.add(constant_.data(), constant_.size());
  sum.add(map_.header.data(), sizeof map_.header);
  digest_ = sum.value();
}

FrameVerdict FrameReader::check(std::span<const std::byte> image, std::optional<std::int64_t> expected_sample,
                                Sample* into) const {
  const std::string who = "frame of solver rank " + std::to_string(layout_.rank) + ": ";
  auto verdict = [&](FrameFault fault, const std::string& text) { return FrameVerdict{fault, who + text}; };
  if (image.size() != map_.size)
    return verdict(FrameFault::length,
                   std::to_string(image.size()) + " bytes arrived where a frame has " + std::to_string(map_.size));

  const std::byte* good = constant_.data();
  for (const ByteRange range : map_.constant) {
    const std::size_t length = range.end - range.begin;
    if (std::memcmp(image.data() + range.begin, good, length) != 0) {
      const std::size_t at =
          std::mismatch(image.begin() + range.begin, image.begin() + range.end, good).first - image.begin();
      for (const auto& [fault, place] : map_.identity)
        if (at >= place.begin && at < place.end)
          return verdict(fault, std::string("it names another ") +
                                    (fault == FrameFault::tiles ? "tile list" : name(fault)) + " than this stream's");
      return verdict(FrameFault::constant, "byte " + std::to_string(at) + " differs from the stream's template");
    }
    good += length;
  }

  const HeaderWords words = words_in(image, map_);
  Checksum sum;
  std::optional<std::size_t> wild;  // variable
  for (std::size_t v = 0; v < map_.payload.size(); ++v) {
    const bool finite = into == nullptr ? sum.add_finite(image.data() + map_.payload[v], layout_.variable_bytes())
                                        : take(image.data() + map_.payload[v], v, *into, sum);
    if (!finite && !wild) wild = v;
  }
  sum.add(words.data(), 8 * kChecksum);
  if (sum.value() != words[kChecksum]) return verdict(FrameFault::checksum, "its numbers do not match its checksum");
  if (wild)
    return verdict(FrameFault::values, "sample " + std::to_string(from_words(words).info.number) +
                                           " holds a number that is not finite in " + variable(*wild).name);

  const std::int64_t number = from_words(words).info.number;
  if (expected_sample && number != *expected_sample)
    return verdict(FrameFault::sample, "it carries sample " + std::to_string(number) + " where sample " +
                                           std::to_string(*expected_sample) + " was due");
  return {};
}

FrameHeader FrameReader::header(std::span<const std::byte> image) const {
  return from_words(words_in(image, map_));
}

bool FrameReader::lies_as_sample() const {
  const Tiling& g = layout_.tiling;
  if (g.tiles_per_edge != 1 || g.ranks != 1) return false;
  for (std::size_t v = 1; v < map_.payload.size(); ++v)
    if (v != sample_inputs().size() && map_.payload[v] - map_.payload[v - 1] != layout_.variable_bytes()) return false;
  return true;
}

std::span<const float> FrameReader::inputs(const std::byte* image) const {
  return {reinterpret_cast<const float*>(image + map_.payload.front()),
          sample_inputs().size() * layout_.variable_cells()};
}

std::span<const float> FrameReader::targets(const std::byte* image) const {
  return {reinterpret_cast<const float*>(image + map_.payload[sample_inputs().size()]),
          sample_targets().size() * layout_.variable_cells()};
}

void FrameReader::scatter(std::span<const std::byte> image, Sample& sample) const {
  for (std::size_t v = 0; v < map_.payload.size(); ++v)
    for_each_run(v, sample, [&](const Run& run) { copy(image.data() + map_.payload[v] + run.at, run); });
}

/// Copies a variable into a sample and adds it to the sum; whether all its numbers are finite.
bool FrameReader::take(const std::byte* from, std::size_t v, Sample& sample, Checksum& sum) const {
  bool finite = true;
  for_each_run(v, sample, [&](const Run& run) {
    if (run.rows == 1) {
      finite = sum.add_finite_copy(run.to, from + run.at, run.row_bytes) && finite;
    } else {  // rows are too short to be added one by one
      finite = sum.add_finite(from + run.at, run.rows * run.row_bytes) && finite;
      copy(from + run.at, run);
    }
  });
  return finite;
}

void FrameReader::copy(const std::byte* from, const Run& run) {
  for (std::size_t row = 0; row < run.rows; ++row)
    std::memcpy(run.to + row * run.stride, from + row * run.row_bytes, run.row_bytes);
}

/// Calls `work` with what lies in one piece in the frame: the variable, where tiles are panels and the sample's follow
/// each other as well, or some rows of a tile, short enough for the first cache.
template <class Work>
void FrameReader::for_each_run(std::size_t v, Sample& sample, const Work& work) const {
  constexpr std::size_t kNear = 2 << 10;  // bytes
  const Tiling& g = layout_.tiling;
  const std::size_t inputs = sample_inputs().size();
  float* field =
      v < inputs ? sample.input.data() + v * g.cell_count() : sample.target.data() + (v - inputs) * g.cell_count();
  const int rows = g.tile_cells(), first = g.first_tile(layout_.rank);
  if (g.tiles_per_edge == 1)
    return work(Run{field + g.global_offset({g.place(first).panel, 0, 0}), 0, 1, layout_.variable_bytes(), 0});
  const std::size_t row_bytes = static_cast<std::size_t>(rows) * sizeof(float);
  const int step = static_cast<int>(std::clamp<std::size_t>(kNear / row_bytes, 1, static_cast<std::size_t>(rows)));
  std::size_t at = 0;
  for (int tile = first; tile < first + layout_.tiles(); ++tile) {
    const TilePlace p = g.place(tile);
    for (int j = 0; j < rows; j += step) {
      const auto count = static_cast<std::size_t>(std::min(step, rows - j));
      work(Run{field + g.global_offset({p.panel, p.tj * rows + j, p.ti * rows}), at, count, row_bytes,
               static_cast<std::size_t>(g.n)});
      at += count * row_bytes;
    }
  }
}

}  // namespace tramontane
