/// Files that are written aside, sealed (file_seal.hpp), brought to the disk and only then given their name.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace tramontane {

/// Writes `contents` behind a seal as PATH.part and renames it. On one rank. When anything fails the part is removed,
/// the path keeps what it held, and RunError is thrown.
void write_sealed_file(const std::filesystem::path& path, int format, std::span<const std::byte> contents);
inline void write_sealed_file(const std::filesystem::path& path, int format, std::string_view text) {
  write_sealed_file(path, format, std::as_bytes(std::span(text)));
}

/// What stands behind the seal. The file must have passed check_seal. Throws RunError.
std::string read_behind_seal(const std::filesystem::path& path);

/// Renames a file or a folder and brings the entry to the disk. Throws RunError.
void put_in_place(const std::filesystem::path& part, const std::filesystem::path& path);

/// Brings a folder's entries to the disk, where the file system can do that.
void sync_folder(const std::filesystem::path& folder);

}  // namespace tramontane
