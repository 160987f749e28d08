#include "src/stream/frame.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

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

/// Whether `count` floats (of any alignment) are neither NaN nor infinite: an exponent of ones says that one is.
bool all_finite(const std::byte* bytes, std::size_t count) {
  constexpr std::uint32_t kExponent = 0x7f800000;
  std::uint32_t bad = 0;
  for (std::size_t k = 0; k < count; ++k) {
    std::uint32_t word;
    std::memcpy(&word, bytes + k * sizeof word, sizeof word);
    bad |= (word & kExponent) == kExponent ? 1u : 0u;
  }
  return bad == 0;
}

constexpr std::size_t kLine = 64;  // bytes of a cache line

/// Memory that will be read soon; it need not be there.
void ask_for(const std::byte* bytes, std::size_t count) {
  for (std::size_t k = 0; k < count; k += kLine) __builtin_prefetch(bytes + k);
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
  for (std::size_t v = 0; v < FrameLayout::variable_count(); ++v) {
    const Variable& what = variable(v);
    const Handle data =
        hdf5::create_dataset(v < sample_inputs().size() ? input : target, what.name, H5T_NATIVE_FLOAT, space, creation);
    hdf5::write_attribute(data, "units", what.units);
    hdf5::write_attribute(data, "long_name", what.long_name);
    for (unsigned axis = 0; axis < 3; ++axis) hdf5::attach_scale(data, scales[axis], axis);
    if (!payload.empty()) hdf5::write(data, payload[v]);
    const haddr_t offset = H5Dget_offset(data);
    if (offset == HADDR_UNDEF || offset % alignof(float) != 0)
      throw RunError("stream frame: HDF5 gave no place to " + what.name);
    out.payload.push_back(offset);
  }
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
  sum.add(words.data(), 8 * kChecksum);
  for (const float* data : payload) sum.add(data, layout.variable_bytes());
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

FrameImage& FrameImage::operator=(const FrameImage& other) {
  if (this == &other) return *this;
  if (bytes_.size() != other.bytes_.size()) throw RunError("stream frame: an image of another layout was assigned");
  std::ranges::copy(other.bytes_, bytes_.begin());
  return *this;
}

void FrameImage::move_to(std::byte* memory) {
  std::ranges::copy(bytes_, memory);
  bytes_ = {memory, bytes_.size()};
  owned_ = {};
}

/// `add(sum, v)` gives variable v to the checksum.
template <class Add>
void FrameImage::write_header(const FrameHeader& header, const Add& add) {
  HeaderWords words = to_words(header);
  Checksum sum;
  sum.add(words.data(), 8 * kChecksum);
  for (std::size_t v = 0; v < map_->payload.size(); ++v) add(sum, v);
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
  sum.add(words.data(), 8 * kChecksum);
  std::optional<std::size_t> wild;  // variable
  for (std::size_t v = 0; v < map_.payload.size(); ++v)
    for_each_block(v, [&](const Block& block) {
      const std::byte* from = image.data() + block.at;
      ask_for(from + 4 * block.bytes, block.bytes);
      sum.add(from, block.bytes);
      if (!wild && !all_finite(from, block.bytes / sizeof(float))) wild = v;
      if (into != nullptr) copy(from, block, *into);  // while it is in the first cache
    });
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

const std::byte* FrameReader::payload(std::span<const std::byte> image, std::size_t v) const {
  return image.data() + map_.payload[v];
}

void FrameReader::scatter(std::span<const std::byte> image, Sample& sample) const {
  for (std::size_t v = 0; v < map_.payload.size(); ++v)
    for_each_block(v, [&](const Block& block) { copy(image.data() + block.at, block, sample); });
}

/// Calls `work` for whole rows of one tile at a time. Memory is far away from a frame that another core has written: short
/// blocks, with what comes next asked for in time, let reading, hashing and writing overlap (2 KiB: 18 GB/s at C384 where
/// 16 KiB without give 11).
template <class Work>
void FrameReader::for_each_block(std::size_t v, const Work& work) const {
  constexpr std::size_t kBlock = 2 << 10;
  const Tiling& g = layout_.tiling;
  const int rows = g.tile_cells(), first = g.first_tile(layout_.rank);
  const std::size_t row_bytes = static_cast<std::size_t>(rows) * sizeof(float);
  const int step = static_cast<int>(std::clamp<std::size_t>(kBlock / row_bytes, 1, static_cast<std::size_t>(rows)));
  std::size_t at = map_.payload[v];
  for (int tile = first; tile < first + layout_.tiles(); ++tile)
    for (int j = 0; j < rows; j += step) {
      const Block block{v, at, static_cast<std::size_t>(std::min(step, rows - j)) * row_bytes, tile, j};
      work(block);
      at += block.bytes;
    }
}

void FrameReader::copy(const std::byte* from, const Block& block, Sample& sample) const {
  const Tiling& g = layout_.tiling;
  const std::size_t inputs = sample_inputs().size(), rows = static_cast<std::size_t>(g.tile_cells());
  float* field = block.variable < inputs ? sample.input.data() + block.variable * g.cell_count()
                                         : sample.target.data() + (block.variable - inputs) * g.cell_count();
  const TilePlace p = g.place(block.tile);
  const int left = static_cast<int>(p.ti * rows);
  // Rows of a tile that is a panel follow each other.
  const std::size_t piece = g.tiles_per_edge == 1 ? block.bytes : rows * sizeof(float);
  for (std::size_t done = 0; done < block.bytes; done += piece) {
    const int top = static_cast<int>(p.tj * rows + block.row + done / (rows * sizeof(float)));
    float* to = field + g.global_offset({p.panel, top, left});
    const std::size_t ahead = 2 * block.bytes;
    for (std::size_t k = 0; k < piece; k += kLine) __builtin_prefetch(reinterpret_cast<const char*>(to) + ahead + k, 1);
    std::memcpy(to, from + done, piece);
  }
}

}  // namespace tramontane
