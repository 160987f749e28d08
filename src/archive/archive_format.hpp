/// What writer and reader of an archive agree on. docs/design/stream.md lists the whole format.
#pragma once

#include <cstdint>

namespace tramontane {

inline constexpr std::int32_t kArchiveVersion = 1;
inline constexpr const char* kArchiveFormat = "tramontane archive";

}  // namespace tramontane
