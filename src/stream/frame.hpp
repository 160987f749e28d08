/// A frame: one complete HDF5 file image with the tiles of one sample that one solver rank owns.
///
/// HDF5 lays the image out once per stream; every later frame only overwrites the numbers in it, at byte offsets that
/// were found when it was made. The format is HDF5's earliest (superblock 0, object headers 1): it holds no metadata
/// checksums that a changed attribute would break.
///
///   /                attributes: Conventions, run_id, producer_rank, grid_n, tiles_per_edge (fixed for a stream);
///                    sample, time, month, trajectory, validation, weights_version, checksum (changed by every frame)
///   /tiles, /j, /i   tile numbers and cell indices: dimension scales
///   /input/<name>    float (tiles, T, T), one per variable of sample_inputs(), attributes units and long_name
///   /target/<name>   the same for sample_targets()
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/checksum.hpp"
#include "kernels/sample.hpp"
#include "kernels/tiling.hpp"

namespace tramontane {

/// What the frames of one solver rank hold, the same for a whole stream.
struct FrameLayout {
  Tiling tiling;
  int rank = 0;  ///< the producer's index among the solver ranks of the tiling
  std::string run_id;

  int tiles() const { return tiling.owned_count(rank); }
  std::size_t variable_cells() const { return static_cast<std::size_t>(tiles()) * tiling.cells_per_tile(); }
  std::size_t variable_bytes() const { return variable_cells() * sizeof(float); }
  /// Inputs, then targets.
  static std::size_t variable_count() { return sample_inputs().size() + sample_targets().size(); }
};

/// The numbers that change with every frame.
struct FrameHeader {
  SampleInfo info;
  std::int64_t weights_version = 0;
  std::uint64_t checksum = 0;  ///< XXH3 of the payload, in the order of FrameMap, and of the other header numbers
};

/// Half-open range of bytes in an image.
struct ByteRange {
  std::size_t begin = 0, end = 0;
};

/// Why a frame was rejected.
enum class FrameFault {
  none,
  length,     ///< not as long as a frame of this layout
  transport,  ///< MPI reported an error on receipt
  run,        ///< carries another run id
  grid,       ///< another grid or tiling
  producer,   ///< another solver rank
  tiles,      ///< another tile list
  constant,   ///< differs from the template outside of the numbers that may change
  checksum,   ///< the numbers do not match the checksum
  values,     ///< as it was sent, but it holds NaN or infinity: the solver went wrong
  sample,     ///< not the sample that was due
};
const char* name(FrameFault fault);

/// The verdict over a frame; `reason` is one sentence, empty when all is well.
struct FrameVerdict {
  FrameFault fault = FrameFault::none;
  std::string reason;
  bool good() const { return fault == FrameFault::none; }
};

/// Where things lie in an image.
struct FrameMap {
  static constexpr std::size_t kHeaderFields = 7;  ///< of eight bytes each, the checksum last

  std::size_t size = 0;
  std::array<std::size_t, kHeaderFields> header{};
  std::vector<std::size_t> payload;  ///< per variable, inputs then targets
  std::vector<ByteRange> constant;   ///< all that no frame changes, ascending
  struct Identity {
    FrameFault fault;
    ByteRange range;
  };
  std::vector<Identity> identity;  ///< constant bytes whose change has a name
};

/// One frame in memory. Copies share the map and own their bytes.
class FrameImage {
 public:
  /// Lets HDF5 build the image and finds the offsets. Throws RunError when an offset cannot be found for certain.
  explicit FrameImage(const FrameLayout& layout);
  FrameImage() = default;  ///< of no bytes
  FrameImage(const FrameImage& other);
  /// A copy of an image that has no header and no payload yet, in memory of zeros, which must outlive it.
  FrameImage(const FrameImage& other, std::byte* memory);
  FrameImage(FrameImage&&) = default;
  /// Takes over the bytes of an image of the same layout, and stays where it is.
  FrameImage& operator=(const FrameImage& other);

  const FrameLayout& layout() const { return *layout_; }
  const FrameMap& map() const { return *map_; }
  std::span<const std::byte> bytes() const { return bytes_; }
  std::span<std::byte> bytes() { return bytes_; }

  /// Overwrites header and payload; `payload` holds one pointer per variable (inputs, then targets) to (owned tiles,
  /// T, T) floats. header.checksum is ignored: it is computed here.
  void patch(const FrameHeader& header, std::span<const float* const> payload);
  /// The same for a frame whose payload has been written where it lies.
  void seal(const FrameHeader& header);
  /// Where the payload lies, per variable (inputs, then targets): (owned tiles, T, T) floats.
  std::vector<float*> payload();

 private:
  template <class Add>
  void write_header(const FrameHeader& header, const Add& add);

  std::shared_ptr<const FrameLayout> layout_;
  std::shared_ptr<const FrameMap> map_;
  std::vector<std::byte> owned_;  // empty when the bytes lie elsewhere
  std::span<std::byte> bytes_;
};

/// The image made by HDF5 calls alone (slow): what patch() must equal, byte for byte. A null pointer leaves zeros.
std::vector<std::byte> build_frame_by_library(const FrameLayout& layout, const FrameHeader& header,
                                              std::span<const float* const> payload);

/// Checks frames of one layout and reads them by offset, without HDF5. Trusts nothing that arrives.
class FrameReader {
 public:
  explicit FrameReader(const FrameLayout& layout);

  std::size_t frame_size() const { return map_.size; }
  /// Digest of the constant bytes and their places: equal on both sides of a stream.
  std::uint64_t template_digest() const { return digest_; }

  /// Checks length, constant bytes (with run, grid, producer and tile list named), checksum, sample number,
  /// and that every number is finite.
  /// With `into`, a sample whose n and vectors have been sized, the frame's tiles are copied into it on the way, while
  /// they are in the first cache: worth nothing unless the verdict is good.
  FrameVerdict check(std::span<const std::byte> image, std::optional<std::int64_t> expected_sample = {},
                     Sample* into = nullptr) const;

  /// The numbers of a frame that has passed check().
  FrameHeader header(std::span<const std::byte> image) const;
  /// Whether a frame's inputs, and its targets, lie as in a Sample: the tiles are panels, one rank has all of them, and
  /// there are no gaps.
  bool lies_as_sample() const;
  /// Inputs and targets of a frame that has passed check(), if it lies so.
  std::span<const float> inputs(const std::byte* image) const;
  std::span<const float> targets(const std::byte* image) const;
  /// Copies the frame's tiles into a sample whose n and vectors have been sized.
  void scatter(std::span<const std::byte> image, Sample& sample) const;

 private:
  struct Run {
    float* to;                    ///< in the sample
    std::size_t at;               ///< in the variable of the frame, bytes
    std::size_t rows, row_bytes;  ///< in the frame one after the other
    std::size_t stride;           ///< of rows in the sample, floats
  };
  template <class Work>
  void for_each_run(std::size_t v, Sample& sample, const Work& work) const;
  bool take(const std::byte* from, std::size_t v, Sample& sample, Checksum& sum) const;
  static void copy(const std::byte* from, const Run& run);

  FrameLayout layout_;
  FrameMap map_;
  std::vector<std::byte> constant_;  // the template's constant ranges, one after the other
  std::uint64_t digest_ = 0;
};

}  // namespace tramontane
