/// Which of a library's engines was measured to be the fastest for a convolution, kept on disk between runs. Host
/// logic alone: knows shapes and names, no library and no device.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "kernels/network_extents.hpp"

namespace tramontane {

/// "16 images of 24 x 24 cells, kernel 3, dilation 1, channels 32 to 64 (stored 32, 64)": for messages.
std::string shape_text(const ConvolutionExtents& extents);

/// Everything that the choice of an engine depends on.
struct EngineKey {
  std::string operation;  ///< "forward", "backward_data" or "backward_weights"
  ConvolutionExtents extents;
  bool activated = false;  ///< the forward pass ends in the activation
  std::string type;        ///< of the arithmetic: "f32", "tf32" or "bf16"
  std::string device;      ///< the GPU's name
  std::string library;     ///< with its version
  /// One line without tabs; equal for equal keys only.
  std::string text() const;
};

/// An engine with its settings, as the library numbers them.
struct EngineChoice {
  std::string variant;  ///< how the operation was put to the library: a word of the back end's
  std::int64_t engine = 0;
  std::map<std::int64_t, std::int64_t> knobs;
  double microseconds = 0;  ///< of a call when it was measured; 0: it was not
  bool operator==(const EngineChoice&) const = default;
};

/// "fused engine 38 knobs 2=1,14=3 us 12.5"
std::string to_text(const EngineChoice& choice);
/// Nothing when the text is not what to_text writes.
std::optional<EngineChoice> parse_engine_choice(const std::string& text);

/// Text file, one line a choice: checksum (XXH3 of the rest), key, choice, separated by tabs. Choices are a
/// convenience: a file that is missing, damaged or of another version is not an error, and a damaged line loses no
/// other.
class EngineCache {
 public:
  /// Reads the file if it is there. An empty path keeps choices in memory only.
  explicit EngineCache(std::string path);

  /// Null when there is none.
  const EngineChoice* find(const EngineKey& key) const;
  void insert(const EngineKey& key, EngineChoice choice);
  /// Writes all choices, those that other processes have written meanwhile too: aside, then renamed, so that a reader
  /// sees the old file or the new one. Does nothing when there is nothing new.
  void save();
  /// What went wrong with the file, once: one sentence, then empty until something else does.
  std::string take_problem();
  std::size_t size() const { return choices_.size(); }

 private:
  void read(bool keep_own);

  std::string path_, problem_;
  std::map<std::string, EngineChoice> choices_;
  bool changed_ = false;
};

/// Where the choices of this user live: $TRAMONTANE_CACHE, else $XDG_CACHE_HOME/tramontane, else
/// $HOME/.cache/tramontane, with `file` appended; "" where none of the three is set.
std::string cache_path(const std::string& file);

}  // namespace tramontane
