/// What writer and reader of an archive agree on. docs/design/stream.md lists the whole format.
#pragma once

#include <cstdint>

#include "kernels/sample.hpp"
#include "kernels/checksum.hpp"

namespace tramontane {

inline constexpr std::int32_t kArchiveVersion = 2;
/// Read too: as version 2 without the seal of finished archives.
inline constexpr std::int32_t kArchiveUnsealed = 1;
inline constexpr const char* kArchiveFormat = "tramontane archive";

/// What every tile's checksum begins with, so that a sample's number, time and marks are guarded too.
inline void add_info(Checksum& sum, const SampleInfo& info) {
  const std::int64_t words[] = {info.number, info.trajectory, info.validation, info.month};
  sum.add(words, sizeof words);
  sum.add(&info.time, sizeof info.time);
}

}  // namespace tramontane
